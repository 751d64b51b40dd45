"""Writes pictures as animations: WebP, GIF, and MP4 if the machine has ffmpeg.

An animation runs through its pictures and back, 25 a second. Browsers repeat WebP and
GIF without end.
"""

import contextlib
import math
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image

from ganspace_jax.errors import InputError
from ganspace_jax.files import disk_errors, pictures

FORMS = ("webp", "gif", "mp4")
FRAMES_PER_SECOND = 25  # a GIF counts in hundredths of a second, so that 24 or 30 are not possible
_MILLISECONDS = 1000 // FRAMES_PER_SECOND
_WEBP_QUALITY = 90
_CRF = 18  # x264's quality; differences of smaller numbers cannot be seen


def forms() -> tuple[str, ...]:
    """Returns the forms of animations that this machine can write."""
    return FORMS if shutil.which("ffmpeg") else FORMS[:2]


def save(path: str | os.PathLike[str], frames: Sequence[np.ndarray] | np.ndarray, *, size: int = 128) -> None:
    """Writes an animation of the form that the file's suffix names.

    The file is complete or absent. Only WebP keeps partial transparency. The other
    forms show RGBA pictures over white.

    Args:
        path: File to write: .webp, .gif or .mp4.
        frames: Pictures [frames, h, w, 3 or 4], uint8.
        size: Smallest width of the animation, in pixels. Small pictures are enlarged by
            a whole factor, without smoothing.

    Raises:
        InputError: The suffix names no form, ffmpeg is missing or fails, or the file
            cannot be written.
    """
    target = pathlib.Path(path)
    form = target.suffix.removeprefix(".").lower()
    if form not in FORMS:
        raise InputError(f"{target.name}: unknown form of animations; the name must end in .{', .'.join(FORMS)}")
    if form == "mp4" and shutil.which("ffmpeg") is None:
        raise InputError(f"{target.name}: MP4 needs ffmpeg, which is not installed; install it, or choose webp or gif")
    scale = max(1, math.ceil(size / np.shape(frames[0])[1]))
    shown = [pictures.enlarged(frame if form == "webp" else _over_white(frame), scale) for frame in frames]
    write = {"webp": _write_webp, "gif": _write_gif, "mp4": _write_mp4}[form]
    _replaced(target, lambda scratch: write(scratch, shown))


def _replaced(target: pathlib.Path, write: Callable[[str], None]) -> None:
    """Writes a file beside its target and renames it."""

    def steps() -> None:
        descriptor, scratch = tempfile.mkstemp(f".writing{target.suffix}", f".{target.stem}-", target.parent)
        os.close(descriptor)
        try:
            write(scratch)
            os.chmod(scratch, 0o644)  # mkstemp makes files that only their owner reads
            os.replace(scratch, target)
        finally:
            pathlib.Path(scratch).unlink(missing_ok=True)

    disk_errors.refused(str(target), steps)


def _over_white(pixels: np.ndarray) -> np.ndarray:
    """Returns RGB pixels: RGBA pixels are composited over white."""
    if pixels.shape[-1] == 3:
        return pixels
    colour, opacity = pixels[..., :3].astype(np.float32), pixels[..., 3:] / np.float32(255)
    return np.round(opacity * colour + (1 - opacity) * 255).astype(np.uint8)


def _there_and_back(frames: list) -> list:
    """Returns frames that run to the last one and back to the second one."""
    return [*frames, *frames[-2:0:-1]]


def _write_webp(path: str, frames: list[np.ndarray]) -> None:
    first, *others = _there_and_back([Image.fromarray(frame) for frame in frames])
    first.save(path, "WEBP", save_all=True, append_images=others, duration=_MILLISECONDS, loop=0, quality=_WEBP_QUALITY)


def _write_gif(path: str, frames: list[np.ndarray]) -> None:
    # Colours are chosen once for each frame, not once more for the way back.
    first, *others = _there_and_back([Image.fromarray(frame).quantize() for frame in frames])
    first.save(path, "GIF", save_all=True, append_images=others, duration=_MILLISECONDS, loop=0)


def _write_mp4(path: str, frames: list[np.ndarray]) -> None:
    """Writes frames through a pipe into ffmpeg, so that no other file is needed."""
    # H.264 in the form that every browser plays has an even width and height.
    even = [np.pad(frame, [(0, side % 2) for side in frame.shape[:2]] + [(0, 0)], mode="edge") for frame in frames]
    height, width = even[0].shape[:2]
    command = [
        "ffmpeg", "-loglevel", "error", "-y",
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(FRAMES_PER_SECOND), "-i", "pipe:0"),
        *("-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p", "-c:v", "libx264", "-crf", str(_CRF)),
        *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-movflags", "+faststart"),
        *("-f", "mp4", path),
    ]  # fmt: skip
    _pipe(command, (np.ascontiguousarray(frame).data for frame in _there_and_back(even)))


def _pipe(command: list[str], chunks: Iterable[memoryview]) -> None:
    """Runs a program that reads the chunks.

    Raises:
        InputError: if the program fails; the message has its last line.
    """
    with (
        tempfile.TemporaryFile() as told,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=told) as process,
    ):
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError), process.stdin:  # the program ended early; its status tells
                for chunk in chunks:
                    process.stdin.write(chunk)
            status = process.wait()
        except BaseException:
            process.kill()
            raise
        told.seek(0)
        lines = told.read().decode(errors="replace").strip().splitlines()
    if status:
        raise InputError(f"{command[0]}: failed with status {status}: {lines[-1] if lines else 'it told no reason'}")
