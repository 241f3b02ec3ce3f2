"""What crosses the line to a process that is not trusted: messages, and the images within them."""

import json
import socket
import struct
import threading

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bench.acceleration.protocol import wire
from bench.acceleration.protocol.pixels import MAX_SIDE, pack, unpack
from bench.core.errors import SourceProblem

LENGTHS = struct.Struct("!IQ")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture
def channel():
    """The two ends of a channel: ours, and theirs."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def message(header, payload=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return LENGTHS.pack(len(text), len(payload)) + text + payload


def received(*parts):
    """Receive from a channel that carries these bytes and is closed then."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"".join(parts))
        theirs.shutdown(socket.SHUT_WR)
        return wire.receive(ours)


# Messages


@given(st.dictionaries(st.text(), JSON, max_size=4), st.binary(max_size=2000))
def test_message_arrives_as_it_was_sent(header, payload):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire.send(theirs, header, payload)
        wire.send(theirs, {"next": True})
        assert wire.receive(ours) == (header, payload)
        assert wire.receive(ours) == ({"next": True}, b"")


def test_message_larger_than_any_socket_buffer_arrives_whole(channel):
    ours, theirs = channel
    payload = np.random.default_rng(0).bytes(3_000_000)
    sender = threading.Thread(target=wire.send, args=(theirs, {"a": "b" * 500_000}, payload))
    sender.start()
    assert wire.receive(ours) == ({"a": "b" * 500_000}, payload)
    sender.join()


def test_message_that_trickles_in_is_put_together(channel):
    ours, theirs = channel

    def trickle():
        for byte in message({"key": "value"}, b"pixels"):
            theirs.sendall(bytes([byte]))

    sender = threading.Thread(target=trickle)
    sender.start()
    assert wire.receive(ours) == ({"key": "value"}, b"pixels")
    sender.join()


def test_channel_closed_between_messages_is_an_end_and_within_one_an_error():
    whole = message({"key": "value"}, b"pixels")
    with pytest.raises(EOFError):
        received(b"")
    for length in range(1, len(whole)):
        with pytest.raises(wire.WireError, match="bytes of a message missing"):
            received(whole[:length])
    assert received(whole) == ({"key": "value"}, b"pixels")


@pytest.mark.parametrize(
    ("header_bytes", "payload_bytes"),
    [(wire.MAX_HEADER_BYTES + 1, 0), (2**32 - 1, 0), (2, wire.MAX_PAYLOAD_BYTES + 1), (2, 2**64 - 1)],
)
def test_announcement_over_the_limit_is_refused_before_anything_is_read(header_bytes, payload_bytes):
    with pytest.raises(wire.WireError, match=f"a message of {header_bytes} \\+ {payload_bytes} bytes"):
        received(LENGTHS.pack(header_bytes, payload_bytes))


def test_message_exactly_at_the_limits_is_accepted(monkeypatch):
    monkeypatch.setattr(wire, "MAX_HEADER_BYTES", len(b'{"a": 1}'))
    monkeypatch.setattr(wire, "MAX_PAYLOAD_BYTES", 3)
    assert received(message({"a": 1}, b"abc")) == ({"a": 1}, b"abc")
    with pytest.raises(wire.WireError, match="over the limit"):
        received(message({"a": 10}, b"abc"))
    with pytest.raises(wire.WireError, match="over the limit"):
        received(message({"a": 1}, b"abcd"))


@pytest.mark.parametrize(
    "text", [b"", b"pickle?", b"{'a': 1}", b'{"a": 1', b"\xff\xfe", b'{"a": %s}' % (b"9" * 5000)]
)
def test_header_that_is_no_json_is_refused(text):
    with pytest.raises(wire.WireError, match="is no JSON"):
        received(message(text))


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_header_nested_past_the_recursion_limit_is_refused(opening):
    with pytest.raises(wire.WireError, match="is no JSON"):
        received(message(opening * 20_000))


@pytest.mark.parametrize(("text", "kind"), [(b"[]", "a list"), (b"7", "a number"), (b"null", "null")])
def test_header_that_is_no_object_is_refused(text, kind):
    with pytest.raises(wire.WireError, match=f"is {kind}, not an object"):
        received(message(text))


def test_half_a_character_is_replaced_and_a_whole_one_kept():
    header, _ = received(message(b'{"error": "a\\ud800b \\uD83D\\uDE00", "\\udfff": ["\\udc80"]}'))
    assert header == {"error": "a?b 😀", "?": ["?"]}
    json.dumps(header, ensure_ascii=False).encode()


def test_silence_past_the_time_limit_is_a_timeout(channel):
    ours, theirs = channel
    ours.settimeout(0.01)
    with pytest.raises(TimeoutError):
        wire.receive(ours)
    theirs.sendall(message({"a": 1})[:-1])
    with pytest.raises(TimeoutError):
        wire.receive(ours)


# Images


def through(images):
    """The way of an arm's images to the evaluator, over JSON."""
    header, pixels = pack(images)
    return unpack(json.loads(json.dumps(header))["shapes"], pixels), header["not_finite"]


PIXELS = arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


@given(st.lists(PIXELS, max_size=4))
def test_pixels_arrive_as_they_were_sent(images):
    for sent in (images, [PIL.Image.fromarray(image) for image in images]):
        found, not_finite = through(sent)
        assert not_finite == []
        assert len(found) == len(images)
        for image, expected in zip(found, images, strict=True):
            np.testing.assert_array_equal(image, expected)


@given(arrays.arrays(np.float32, (2, 3, 4, 3), elements=st.floats(-1, 2, width=32)))
def test_floats_are_clipped_to_0_and_1_and_rounded_to_8_bits(batch):
    found, not_finite = through(batch)
    assert not_finite == []
    expected = np.rint(np.clip(batch.astype(np.float64), 0, 1) * 255)
    assert np.abs(np.stack(found) - expected).max() <= 1  # a tie may round either way
    np.testing.assert_array_equal(through(np.array([[[[0.0, 0.5, 1.0]]]]))[0][0], [[[0, 128, 255]]])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK", "I;16"])
def test_every_mode_of_pil_becomes_rgb(mode):
    image = PIL.Image.new("RGB", (5, 3), "red") if mode != "I;16" else PIL.Image.new("I;16", (5, 3))
    (found,), _ = through([image.convert(mode) if mode != "I;16" else image])
    assert found.shape == (3, 5, 3)
    assert found.dtype == np.uint8


def test_grey_arrays_and_tensors_become_rgb():
    import torch

    grey = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    (found,), _ = through([grey])
    np.testing.assert_array_equal(found, np.repeat(grey, 3, axis=2))
    (from_tensor,), _ = through(torch.from_numpy(grey.transpose(2, 0, 1))[None])
    np.testing.assert_array_equal(from_tensor, found)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "bfloat16", "float16", "float64"])
@pytest.mark.parametrize("channels_first", [True, False])
def test_tensors_of_every_kind_become_the_same_pixels(dtype, channels_first):
    import torch

    expected = np.array([[[0, 255, 51], [102, 0, 0]], [[204, 255, 1], [0, 0, 255]]] * 2, dtype=np.uint8)
    tensor = torch.from_numpy(expected)
    tensor = tensor if dtype == "uint8" else (tensor / 255).to(getattr(torch, dtype)).requires_grad_()
    batch = torch.stack([tensor, tensor])
    found, not_finite = through(batch.permute(0, 3, 1, 2) if channels_first else batch)
    assert not_finite == []
    assert len(found) == 2
    np.testing.assert_array_equal(found[1], expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_image_with_a_number_that_is_none_is_flagged_by_its_index(bad):
    batch = np.full((3, 2, 2, 3), 0.5)
    batch[1, 0, 1, 2] = bad
    found, not_finite = through(batch)
    assert not_finite == [1]
    assert len(found) == 3


@pytest.mark.parametrize(
    ("thing", "named"),
    [
        (None, "NoneType"),
        ("image.png", "str"),
        ([[PIL.Image.new("RGB", (2, 2))]], "list"),
        ([PIL.Image.new("RGB", (2, 2)), None], "NoneType"),
        (np.zeros((4, 4)), "ndarray"),
        (np.zeros((4, 4, 4)), "ndarray"),
        (np.zeros((4, 4, 3), dtype=np.int64), "array of int64"),
        (np.zeros((4, 4, 3), dtype=bool), "array of bool"),
    ],
)
def test_what_is_no_image_is_named(thing, named):
    with pytest.raises(SourceProblem, match=rf"returned an? {named}.*return PIL images"):
        pack([thing])


@pytest.mark.parametrize("missing", [1, -1, 12])
def test_wrong_number_of_bytes_is_refused(missing):
    shapes, pixels = [[2, 2], [2, 2]], bytes(24)
    assert len(unpack(shapes, pixels)) == 2
    with pytest.raises(ValueError, match=r"announced|buffer"):
        unpack(shapes, pixels[:-missing] if missing > 0 else pixels + b"x")


@pytest.mark.parametrize(
    "shape",
    [[0, 4], [4, -1], [MAX_SIDE + 1, 1], [1, MAX_SIDE + 1], [2, 2, 2, 3], [0, 2, 2],
     [MAX_SIDE + 1, 1, 1], [4], [], "22", [2.0, 2], [True, 4],
     [float("inf"), 1], [float("nan"), 1], [None, 4], 7, None],
)  # fmt: skip
def test_announced_size_that_is_none_is_refused_whatever_arrives(shape):
    with pytest.raises(ValueError, match="was announced"):
        unpack([shape], bytes(12))


def test_side_exactly_at_the_limit_is_accepted():
    assert unpack([[MAX_SIDE, 1]], bytes(3 * MAX_SIDE))[0].shape == (MAX_SIDE, 1, 3)


# Videos


VIDEO = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)


def in_every_form(video):
    """A video in each form in which pipelines return one."""
    import torch

    floats = torch.from_numpy(video).float() / 255
    return {
        "images": [PIL.Image.fromarray(frame) for frame in video],
        "tuple of arrays": tuple(video),
        "bytes": video,
        "floats": video / 255,
        "tensor": floats,
        "tensor, channels first": floats.permute(0, 3, 1, 2),
        "half precision": floats.permute(0, 3, 1, 2).to(torch.bfloat16),
        "tensors": list(floats.permute(0, 3, 1, 2)),
    }


@pytest.mark.parametrize("form", in_every_form(VIDEO))
def test_a_video_of_every_form_arrives_frame_by_frame(form):
    image = np.zeros((2, 3, 3), dtype=np.uint8)
    (found, other), not_finite = through([in_every_form(VIDEO)[form], image])
    assert not_finite == []
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - VIDEO).max() <= (1 if form == "half precision" else 0)
    np.testing.assert_array_equal(other, image)


def test_videos_in_one_array_are_told_apart():
    found, _ = through(np.stack([VIDEO, 255 - VIDEO]))
    np.testing.assert_array_equal(found, [VIDEO, 255 - VIDEO])
    (single,), _ = through([VIDEO[:1]])
    np.testing.assert_array_equal(single, VIDEO[:1])  # of one frame, and no image


def test_a_video_with_a_number_that_is_none_is_flagged_by_its_index():
    bad = VIDEO / 255
    bad[2, 0, 0, 0] = np.nan
    assert through([VIDEO, bad])[1] == [1]


@pytest.mark.parametrize(
    ("video", "found"),
    [
        ([], "no frames"),
        (np.zeros((0, 2, 2, 3), np.uint8), "no frames"),
        ([VIDEO[0], VIDEO[0, :2]], "frames of 5 x 2 and 5 x 4 pixels"),
    ],
)
def test_a_video_without_frames_or_of_several_sizes_is_refused(video, found):
    with pytest.raises(SourceProblem, match=f"returned a video with {found}; expected frames of one size"):
        pack([video])


def test_latents_of_a_video_are_no_video():
    with pytest.raises(
        SourceProblem, match=r"returned a ndarray of shape \[2, 4, 16\] .*decode latents first"
    ):
        pack(np.zeros((1, 4, 2, 4, 16), np.float32))
