"""The filter of system calls: what it returns for every number, followed line by line as the kernel does."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

import pytest

from bench.machine import seccomp

ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
DENY = REFUSE | errno.EPERM
NUMBERS = [*range(600), 0x3FFFFFFF, 0x40000000, 0x40000065, 0xFFFFFFFF]
VALUES = [0, 1, 10, 36, 0x8000, 0x10000, 0x10000011, 0x02000000, 2**32, 2**32 + 36]
LISTS = {
    "_program": (seccomp.FORBIDDEN, seccomp.CONDITIONS),
    "_program_of_others": (seccomp.OF_OTHERS, seccomp.OTHER_CONDITIONS),
}


def returned(program: bytes, number: int, architecture: int, arguments: tuple[int, ...]) -> int:
    """Follow a filter; jumps are relative to the next line."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *arguments)
    lines = list(struct.iter_unpack("=HBBI", program))
    place = held = 0
    while True:
        kind, if_so, if_not, value = lines[place]
        place += 1
        if kind == seccomp._LOAD:
            (held,) = struct.unpack_from("=I", data, value)
        elif kind == seccomp._RETURN:
            return value
        else:
            tests = {
                seccomp._EQUAL: held == value, seccomp._AT_LEAST: held >= value,
                seccomp._ANY_BIT: bool(held & value),
            }  # fmt: skip
            place += if_so if tests[kind] else if_not


def refused(condition: seccomp.Condition, value: int) -> bool:
    seen = value & 0xFFFFFFFF
    return {
        "equals": seen == condition.value, "has": bool(seen & condition.value),
        "lacks": not seen & condition.value, "other": seen != condition.value,
    }[condition.test]  # fmt: skip


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(seccomp.platform, "machine", lambda: request.param)
    for name in LISTS:
        getattr(seccomp, name).cache_clear()
    yield request.param
    for name in LISTS:
        getattr(seccomp, name).cache_clear()


@pytest.mark.parametrize("name", LISTS)
def test_the_filter_returns_what_the_lists_say(machine: str, name: str) -> None:
    column, architecture = seccomp._ARCHITECTURES[machine]
    forbidden, conditions = LISTS[name]
    program = getattr(seccomp, name)()
    numbers = {both[column] for both in forbidden.values()}
    by_number = {condition.numbers[column]: condition for condition in conditions.values()}
    for number in NUMBERS:
        for value in VALUES:
            condition = by_number.get(number)
            if number in numbers or (machine == "x86_64" and number >= 0x40000000):
                expected = DENY
            elif number == 435:  # clone3
                expected = REFUSE | errno.ENOSYS
            elif condition is not None and refused(condition, value):
                expected = REFUSE | condition.error
            else:
                expected = ALLOW
            assert returned(program, number, architecture, (value,) * 6) == expected, (number, value)


@pytest.mark.parametrize("name", LISTS)
def test_a_call_of_another_architecture_ends_the_process(machine: str, name: str) -> None:
    program = getattr(seccomp, name)()
    for number in (0, 101, 435):
        assert returned(program, number, 0x40000003, (0,) * 6) == KILL


def test_a_condition_looks_at_its_argument_alone(machine: str) -> None:
    column, architecture = seccomp._ARCHITECTURES[machine]
    for condition in seccomp.CONDITIONS.values():
        value = condition.value if condition.test in ("equals", "has") else condition.value + 1
        for argument in range(6):
            given = [condition.value if condition.test == "other" else 0] * 6
            given[argument] = value
            found = returned(seccomp._program(), condition.numbers[column], architecture, tuple(given))
            assert (found != ALLOW) is (argument == condition.argument)
