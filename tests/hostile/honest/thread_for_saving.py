"""Saves what it has made in a thread of its own."""

import queue
import threading

from plain import draw, pipe

waiting = queue.Queue()


def save():
    while True:
        number, image = waiting.get()
        image.save(f"{number}.png")


threading.Thread(target=save, daemon=True).start()


def generate(pipe, prompts, generators):
    images = draw(pipe, prompts, generators)
    for number, image in enumerate(images):
        waiting.put((number, image.copy()))
    return images
