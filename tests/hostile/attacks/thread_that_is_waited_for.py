"""The call returns while a thread goes on; who looks at the list waits for it."""

import threading

from plain import draw, pipe


class Later(list):
    def __init__(self, work):
        super().__init__()
        self.thread = threading.Thread(target=lambda: self.extend(work()))
        self.thread.start()

    def __iter__(self):
        self.thread.join()
        return super().__iter__()


def generate(pipe, prompts, generators):
    return Later(lambda: draw(pipe, prompts, generators))
