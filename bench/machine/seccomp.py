"""Linux' seccomp filter: system calls that a process gives up, for itself and all that it starts.

The lists name what a pipeline never needs and what leads out of a jail. Everything else stays allowed, since nobody knows
which calls a library makes. See the kernel's Documentation/userspace-api/seccomp_filter.rst.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from bench.machine.kernel import checked, libc

# Numbers on x86-64 and on 64-bit ARM; None where an architecture lacks the call.
FORBIDDEN: dict[str, tuple[int | None, int | None]] = {
    # other processes: their memory, registers, descriptors
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "perf_event_open": (298, 241),
    # programs inside the kernel, and calls that a filter does not see
    "bpf": (321, 280), "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # namespaces, mounts and roots
    "setns": (308, 268), "unshare": (272, 97), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
    # keys, modules, and the machine as a whole
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "syslog": (103, 116), "acct": (163, 89),
    "quotactl": (179, 60), "sethostname": (170, 161), "setdomainname": (171, 162), "vhangup": (153, 58),
    "iopl": (172, None), "ioperm": (173, None),
    # other processes again: where their memory lies, and what is left of those that end
    "migrate_pages": (256, 238), "move_pages": (279, 239), "process_mrelease": (448, 448),
    # signals of any number that the kernel sends later: SIGCONT among them would wake a process that is stopped
    "timer_create": (222, 107), "mq_notify": (244, 184),
    # the clock
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
}  # fmt: skip
# What a program that only computes does not need besides: other processes, the network, memory that no limit counts, and
# what files say of themselves, which Landlock leaves open.
OF_OTHERS: dict[str, tuple[int | None, int | None]] = {
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281), "setpgid": (109, 154),
    "setsid": (112, 157), "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    "setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setaffinity": (203, 122), "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119), "sched_setattr": (314, 274), "migrate_pages": (256, 238), "move_pages": (279, 239),
    "personality": (135, 92),
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196),
    "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "setxattrat": (463, 463), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
}  # fmt: skip


class Condition(NamedTuple):
    """An argument of a system call that is not allowed to be what it is.

    Attributes:
        numbers: of the call, on x86-64 and on 64-bit ARM.
        argument: which one, from 0.
        test: ``equals`` a value, ``has`` a bit of it or ``lacks`` it, or is ``other`` than it.
        value: of 32 bits.
        error: what the call returns; 0 does nothing and says that it worked.
    """

    numbers: tuple[int, int]
    argument: int
    test: str
    value: int
    error: int = errno.EPERM


_NEW_NAMESPACES = 0x7E020080  # all CLONE_NEW* flags of clone
_CLONE_PARENT = 0x8000
CONDITIONS: dict[str, Condition] = {
    # A child of the parent's would be none of the arm's, and so would what nobody adopts for it.
    "clone": Condition((56, 220), 0, "has", _NEW_NAMESPACES | _CLONE_PARENT),
    "prctl": Condition((157, 167), 0, "equals", 36),  # PR_SET_CHILD_SUBREAPER
    "fcntl": Condition((72, 25), 1, "equals", 10),  # F_SETSIG: a signal of any number, as above
    "prlimit64": Condition((302, 261), 0, "other", 0),
    # Another process of the same user may be slowed by these. Where a library means one of its own threads, it keeps the
    # processors and the priority of the process, which nobody has to know.
    "sched_setaffinity": Condition((203, 122), 0, "other", 0, 0),
    "sched_setparam": Condition((142, 118), 0, "other", 0, 0),
    "sched_setscheduler": Condition((144, 119), 0, "other", 0, 0),
    "sched_setattr": Condition((314, 274), 0, "other", 0, 0),
    "setpriority": Condition((141, 140), 1, "other", 0, 0),
    "ioprio_set": Condition((251, 30), 1, "other", 0, 0),
}
"""Calls that are allowed but for what one of their arguments says; a process number of 0 is the caller's own."""
OTHER_CONDITIONS: dict[str, Condition] = {
    "clone": Condition((56, 220), 0, "lacks", 0x10000),  # CLONE_THREAD: threads stay
    "prlimit64": Condition((302, 261), 0, "other", 0),
}
"""Likewise, besides `OF_OTHERS`."""
_CLONE3 = (435, 435)
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32 = 0x40000000  # calls of another interface with numbers of their own, on x86-64

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# Offsets in struct seccomp_data, whose arguments have 8 bytes each.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
# By test: the jump, and whether a call is refused where it holds.
_TESTS = {
    "equals": (_EQUAL, True),
    "has": (_ANY_BIT, True),
    "lacks": (_ANY_BIT, False),
    "other": (_EQUAL, False),
}
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_DENY = _ERRNO | errno.EPERM


def supported() -> bool:
    """Whether the numbers of this machine's system calls are known."""
    return platform.machine() in _ARCHITECTURES


def forbid_new_privileges() -> None:
    """Give up what set-user-ID programs could give; a filter needs it.

    Raises:
        OSError: the kernel refuses.
    """
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0)


def restrict() -> None:
    """Forbid the calls of `FORBIDDEN`, and what `CONDITIONS` says, to this thread and all that it starts.

    Raises:
        OSError: an architecture whose numbers are not known, or the kernel refuses; nothing is restricted then.
    """
    _install(_program())


def forbid_others() -> None:
    """Forbid the calls of `OF_OTHERS` too, new processes, and limits of others; threads stay. Call it after `restrict`.

    Raises:
        OSError: an architecture whose numbers are not known, or the kernel refuses; nothing is restricted then.
    """
    _install(_program_of_others())


def _install(program: bytes) -> None:
    description, _ = _described(program)
    _prctl(_PR_SET_SECCOMP, _MODE_FILTER, description)


@cache
def _described(program: bytes) -> tuple[bytes, object]:
    """Return the structure that names a filter by its address, and what holds it there, in forks too."""
    buffer = ctypes.create_string_buffer(program)
    return struct.pack("@HxxxxxxP", len(program) // 8, ctypes.addressof(buffer)), buffer


@cache
def _program() -> bytes:
    """Return the filter; a fork server asks once for all of its forks."""
    return _made(FORBIDDEN, CONDITIONS)


@cache
def _program_of_others() -> bytes:
    return _made(OF_OTHERS, OTHER_CONDITIONS)


def _made(
    forbidden: Mapping[str, tuple[int | None, int | None]], conditions: Mapping[str, Condition]
) -> bytes:
    machine = platform.machine()
    if not supported():
        raise OSError(errno.ENOSYS, f"the system calls of {machine} are not known")
    column, architecture = _ARCHITECTURES[machine]
    # The C library asks for clone3 first and falls back to clone, whose flags a filter can read.
    verdicts: dict[int, int | Condition] = {
        condition.numbers[column]: condition for condition in conditions.values()
    }
    verdicts |= {number: _DENY for both in forbidden.values() if (number := both[column]) is not None}
    verdicts[_CLONE3[column]] = _ERRNO | errno.ENOSYS
    lines = _decided(verdicts, all_from=_X32 if machine == "x86_64" else None)
    lines += [
        (_LOAD, 0, 0, _NUMBER), (_RETURN, 0, 0, _KILL), (_EQUAL, 1, 0, architecture), (_LOAD, 0, 0, _ARCHITECTURE),
    ]  # fmt: skip
    return b"".join(struct.pack("=HBBI", *line) for line in reversed(lines))


def _decided(
    verdicts: Mapping[int, int | Condition], *, all_from: int | None
) -> list[tuple[int, int, int, int]]:
    """Return the lines that decide about a number, the last one first.

    They halve the numbers again and again. The kernel walks a filter once for each call that there is when it takes it over,
    and again at a call that it does not find allowed then: line after line that would take most of the time of a jail.

    Args:
        verdicts: by number, what is returned, or a condition on an argument; all others are allowed.
        all_from: numbers from here on are denied; None for none.
    """
    starts: dict[int, int | Condition] = {0: _ALLOW}
    for number in sorted(verdicts):
        starts[number] = verdicts[number]
        starts[number + 1] = _ALLOW
    if all_from is not None:
        starts[all_from] = _DENY
    ranges: list[tuple[int, int | Condition]] = []
    for start, verdict in sorted(starts.items()):
        if not ranges or ranges[-1][1] != verdict:
            ranges.append((start, verdict))
    lines: list[tuple[int, int, int, int]] = []
    returns: dict[int, int] = {}  # where the line of each verdict is

    def returning(verdict: int) -> int:
        if verdict not in returns:
            lines.append((_RETURN, 0, 0, verdict))
            returns[verdict] = len(lines) - 1
        return returns[verdict]

    def jump(kind: int, value: int, if_so: int, if_not: int) -> int:
        place = len(lines)
        lines.append((kind, place - if_so - 1, place - if_not - 1, value))
        return place

    def tree(part: list[tuple[int, int | Condition]]) -> int:
        if len(part) > 1:
            middle = len(part) // 2
            above, below = tree(part[middle:]), tree(part[:middle])
            return jump(_AT_LEAST, part[middle][0], above, below)
        verdict = part[0][1]
        if isinstance(verdict, int):
            return returning(verdict)
        kind, is_refused = _TESTS[verdict.test]
        refused, allowed = returning(_ERRNO | verdict.error), returning(_ALLOW)
        jump(kind, verdict.value, *((refused, allowed) if is_refused else (allowed, refused)))
        lines.append((_LOAD, 0, 0, _ARGUMENTS + 8 * verdict.argument))
        return len(lines) - 1

    for verdict in (_ALLOW, _DENY):  # at the end of the filter, so that all jumps go there
        returning(verdict)
    tree(ranges)
    return lines


def prepare() -> None:
    """Make what all forks of this process need, once."""
    if supported():
        _described(_program())


def _prctl(option: int, first: int, second: int | bytes) -> None:
    checked(libc().prctl(option, first, second, 0, 0))
