"""Bytes and texts of files, whatever they are packed with and however they are encoded.

Everything streams: no more than a few megabytes of a file are held, however large it is or claims
to be once unpacked.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import os
import stat
import zlib
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, final

import pyarrow as pa

from silmu.errors import InputError, UsageError

BLOCK = 1 << 20
LONGEST_LINE = 1 << 26  # characters: what is longer is no line of a table of texts
_BOMB_BYTES, _BOMB_RATIO = 1 << 30, 250  # tables of texts are packed to a tenth, seldom a hundredth

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
_HANGUL_SHARE = 0.7  # of the letters beyond ASCII, for a file to be Korean: Chinese ones have 0.6
# Nineteen in twenty of any Korean text, of names and headings too; what Chinese, Japanese or
# Russian bytes give, read as CP949, is seldom among them.
_COMMON = frozenset(
    "가각간갈감갑갔강갖같개객걍거건걸검겁것게겟겠겨격견결경계고곤골공과관광괜괴교구국군굳굴굿궁권"
    "귀규그극근글금급긍기긴길김깊까깝깨꺼께껴꼬꼭꽤꾸꿀꿈끄끌끔끝끼낌나낚난날남납낫났낭낮내낸냐냥"
    "너널넘네녀년노녹놀놈높놓누눈느는늘능니닌님다닥단달담답당대더덕던데도독돈돋돌동돼됐되된될됨두"
    "둘뒤드득든들듯등디딩따딱딴딸때떠떤떨떻또똑똥뛰뜨뜻라락란랄람랐랑래랜랬량러런럼럽렇레려력련렸"
    "로록론롭료룡루류률륭르른를름리릭린릴림립링마막만많말맑맘맛망맞매맨머먹먼멋멍메멘멜며면명몇모"
    "목몰몸못묘무문물뭐뭔뭘미믹민믿밀밋밌바박밖반받발방배백버번벌범법베벽변별병보복본볼봄봉봐봣봤"
    "부북분불브블비빈빙빛빠빨빵빼뻔뿐쁘쁜사산살삶삼상새색생서석선설섭성세섹셔션셨소속손솔송수순술"
    "숨쉬쉽슈스슨슬슴습슷승시식신실싫심십싶싸쌍써쓰쓸씨씬아악안않알암았앞애액야약양얘어억언얼엄업"
    "없엇었엉에엔여역연열엽였영예옛오온올와완왔왕왜왠외요욕용우욱운울움웃웅워원월웠위유윤율으은을"
    "음읍의이인일읽임입잇있잊자작잔잖잘잠잡장재잼쟁저적전절점접정제젠져졌조족존졸좀종좋좌죄죠주죽"
    "준줄줌중줘줬즈즌즐즘증지직진질짐집짓징짜짝짱째쩌쩔쯤찌찍차착찬찮참창찾채책처척천철첨첫청체쳐"
    "초총최추춘출충취층치친칠침카캐커케켜코콩쾌큐크큰클큼키킬타탄탈태택터테텐토통투트특튼틀티팅파"
    "판패팬퍼페편평포폭표풀품풍프픈플피픽필하학한할함합항해햇했행향허헐험혀현형혜호혹혼홍화확환활"
    "황회효후훈훌훨휴흐흔흘흥희히힘"
)
_COMMON_SHARE = 0.6
_WESTERN_SHARE = 0.4  # at most, of the letters of a file in a Western language, are accented


def packing(beginning: bytes) -> str | None:
    """What a file is packed with, by its first bytes, since names lie."""
    return next((kind for magic, kind in _PACKED.items() if beginning.startswith(magic)), None)


def peek(path: Path, size: int = 4096) -> bytes:
    """The first bytes of a file's content, unpacked."""
    with open_bytes(path) as file:
        return file.read(size)


def open_bytes(path: Path) -> io.BufferedReader:
    """A file to read, unpacked if it is packed.

    Raises:
        UsageError: there is no such file, or it is not a regular one.
    """
    file = regular(path)
    kind = packing(file.peek(4)[:4])
    inner: Any = file
    if kind == "gzip":
        inner = gzip.GzipFile(fileobj=file, mode="rb")
    elif kind == "bz2":
        inner = bz2.BZ2File(file, "rb")
    elif kind == "zstd":
        inner = pa.CompressedInputStream(file, "zstd")
    return io.BufferedReader(_Unpacked(path, file, inner, kind), BLOCK)


def regular(path: Path) -> io.BufferedReader:
    """A file to read as it is.

    Raises:
        UsageError: there is no such file, or it is not a regular one.
    """
    try:
        # A pipe would keep its reader waiting for ever, and a device has no end.
        if stat.S_ISREG(path.stat().st_mode):
            return path.open("rb")
    except (OSError, ValueError) as error:
        raise UsageError(f"`{path}` cannot be read: {_reason(error)}") from error
    raise UsageError(f"`{path}` is not a regular file")


@final
class _Unpacked(io.RawIOBase):
    """The content of a file; what goes wrong in unpacking it is told as the file's fault."""

    def __init__(self, path: Path, file: io.BufferedReader, inner: Any, kind: str | None) -> None:
        self.path, self.file, self.inner, self.kind = path, file, inner, kind
        self.size = os.fstat(file.fileno()).st_size
        self.read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self.inner.read(len(buffer))
        except (OSError, EOFError, ValueError, zlib.error, pa.ArrowException) as error:
            how = f", which is packed with {self.kind}," if self.kind else ""
            raise InputError(
                f"`{self.path}`{how} cannot be read after {self.read_bytes:,} bytes: "
                f"{_reason(error)}",
                hint="it may be cut short or damaged: fetch it again",
            ) from error
        buffer[: len(data)] = data
        self.read_bytes += len(data)
        if self.kind and self.read_bytes > max(_BOMB_BYTES, self.size * _BOMB_RATIO):
            raise InputError(
                f"`{self.path}` unpacks to more than {_BOMB_RATIO} times its size",
                hint="if that is meant, unpack it first and give the unpacked file",
            )
        return len(data)

    def close(self) -> None:
        try:
            self.inner.close()
        except (OSError, ValueError, zlib.error, pa.ArrowException):
            pass  # what was wrong in it, its reader was told
        finally:
            self.file.close()
            super().close()


@final
class Text:
    """The lines of a file of text, their ends as they are.

    Attributes:
        encoding: what the file was found to be written in.
        marks_broken: whether bytes that do not fit it are kept as lone surrogates, so that the
            rows that hold them can be told.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.encoding, self.marks_broken = _encoding(path)

    def open(self) -> io.TextIOWrapper:
        """The text from its beginning."""
        errors = "surrogateescape" if self.marks_broken else "strict"
        return io.TextIOWrapper(
            open_bytes(self.path), encoding=self.encoding, errors=errors, newline=""
        )

    def lines(self) -> Generator[str]:
        """Line after line.

        Raises:
            InputError: a line without end, or bytes that are no text.
        """
        with self.open() as file:
            try:
                while line := file.readline(LONGEST_LINE):
                    if len(line) == LONGEST_LINE:
                        raise self.too_long()
                    yield line
            except UnicodeError as error:
                raise self.broken(error) from error

    def blocks(self) -> Generator[str]:
        """Some characters at a time."""
        with self.open() as file:
            try:
                while block := file.read(BLOCK):
                    yield block
            except UnicodeError as error:
                raise self.broken(error) from error

    def too_long(self) -> InputError:
        """What is said of a line without end."""
        return InputError(
            f"`{self.path}` has a line of more than {LONGEST_LINE:,} characters",
            hint="is it a file of text?",
        )

    def broken(self, error: UnicodeError) -> InputError:
        """What is said of bytes that are no text."""
        return InputError(
            f"`{self.path}` is not {self.encoding.upper()} throughout: {error}",
            hint="save it as UTF-8",
        )


@final
class Watch:
    """Files that must not change while they are read."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = tuple(paths)
        self.before = self._look()

    def check(self) -> None:
        """Ends if a file is no longer what it was.

        Raises:
            InputError: one was changed, replaced or removed.
        """
        for path, before, now in zip(self.paths, self.before, self._look(), strict=True):
            if before != now:
                raise InputError(
                    f"`{path}` changed while it was read",
                    hint="wait until it is written, or copy it and read the copy",
                )

    def _look(self) -> list[tuple[int, int, int, int] | None]:
        found: list[tuple[int, int, int, int] | None] = []
        for path in self.paths:
            try:
                status = path.stat()
                found.append((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
            except OSError:
                found.append(None)
        return found


def _encoding(path: Path) -> tuple[str, bool]:
    """How a file is encoded, and whether some of its bytes do not fit that."""
    with open_bytes(path) as file:
        beginning = file.read(4096)
        for mark, name in _MARKS:
            if beginning.startswith(mark):
                return name, name == "utf-8-sig"
        if half := _sixteen_bits(beginning):
            return half, False
        decoder = codecs.getincrementaldecoder("utf-8")()
        block = beginning
        try:
            while block:
                decoder.decode(block)
                block = file.read(BLOCK)
            decoder.decode(b"", final=True)
            return "utf-8", False
        except UnicodeDecodeError:
            # Where the trouble begins is where the other letters are.
            sample = block + file.read(BLOCK)
    return _other(path, sample)


def _sixteen_bits(beginning: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of its ASCII letters is zero."""
    even, odd = beginning[::2], beginning[1::2]
    if len(odd) < 4 or beginning.count(0) < len(beginning) / 5:
        return None
    if odd.count(0) > 4 * even.count(0):
        return "utf-16-le"
    return "utf-16-be" if even.count(0) > 4 * odd.count(0) else None


def _other(path: Path, sample: bytes) -> tuple[str, bool]:
    """The encoding of bytes that are not UTF-8 throughout."""
    utf8 = sample.decode("utf-8", "surrogateescape")
    broken = sum("\udc80" <= letter <= "\udcff" for letter in utf8)
    if sum(letter > "\x7f" for letter in utf8) - broken >= broken:
        return "utf-8", True
    korean = sample.decode("cp949", "replace")
    beyond = [letter for letter in korean if letter > "\x7f" and letter.isalpha()]
    hangul = sum("가" <= letter <= "힣" for letter in beyond)
    common = sum(letter in _COMMON for letter in beyond)
    is_korean = hangul >= _HANGUL_SHARE * len(beyond) and common >= _COMMON_SHARE * hangul
    if beyond and is_korean and korean.count("\ufffd") * 20 <= hangul:
        return "cp949", True
    western = sample.decode("cp1252", "replace")
    letters = [letter for letter in western if letter.isalpha()]
    accented = sum(letter > "\x7f" for letter in letters)
    if "\0" not in western and letters and accented <= _WESTERN_SHARE * len(letters):
        # Five bytes mean nothing in CP1252 and a control character in Latin-1.
        return ("latin-1" if "\ufffd" in western else "cp1252"), False
    raise InputError(
        f"`{path}` is neither UTF-8, UTF-16, CP949 nor Latin-1",
        hint="save it as UTF-8; a spreadsheet offers that as `CSV UTF-8`",
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
