"""Frame files: order in time, complete images only."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.errors import InputError
from pipeline.frames import frame_files
from tests.conftest import write_frame


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("reg_img46.jpg", 46),
        ("img100.jpg", 100),
        ("reg_EP01_5-113.jpg", 113),
        ("EP01_12-073.jpg", 73),
        ("image000207.bmp", 207),
        ("12.png", 12),
        ("cover.jpg", None),
    ],
)
def test_the_frame_number_is_the_last_run_of_digits(name, number):
    assert frame_files.number_of(name) == number


def test_frames_are_in_the_order_of_their_numbers_not_of_their_names(tmp_path):
    for number in (100, 9, 10, 99):
        (tmp_path / f"reg_img{number}.jpg").touch()
    (tmp_path / "Thumbs.db").touch()
    (tmp_path / "._reg_img9.jpg").touch()
    assert list(frame_files.numbered(tmp_path)) == [9, 10, 99, 100]
    assert sorted(path.name for path in frame_files.numbered(tmp_path).values())[0] == "reg_img10.jpg"


def test_two_files_of_one_number_are_an_error(tmp_path):
    (tmp_path / "img7.jpg").touch()
    (tmp_path / "img007.jpg").touch()
    with pytest.raises(InputError, match=r"frame 7: img007\.jpg and img7\.jpg"):
        frame_files.numbered(tmp_path)


def test_an_image_without_a_number_is_an_error(tmp_path):
    (tmp_path / "face.jpg").touch()
    with pytest.raises(InputError, match=r"face\.jpg"):
        frame_files.numbered(tmp_path)


def picture(path):
    image = np.random.default_rng(0).integers(0, 255, (50, 40, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), image)
    return path, image


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_a_frame_is_read_as_rgb(tmp_path, suffix):
    path, image = picture(tmp_path / f"1{suffix}")
    np.testing.assert_array_equal(frame_files.read(path), image[..., ::-1])
    assert frame_files.defect(path) is None


def test_a_grey_frame_has_three_equal_channels(tmp_path):
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    assert cv2.imwrite(str(tmp_path / "1.png"), grey)
    np.testing.assert_array_equal(frame_files.read(tmp_path / "1.png"), np.stack([grey] * 3, axis=-1))


def test_a_frame_under_a_non_ascii_path_is_read(tmp_path):
    path, image = picture(tmp_path / "1.png")
    moved = path.rename(tmp_path / "表情 é 1.png")
    np.testing.assert_array_equal(frame_files.read(moved), image[..., ::-1])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_image_is_an_error_that_names_it(tmp_path, suffix, share):
    path, _ = picture(tmp_path / f"1{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert frame_files.defect(path)
    with pytest.raises(InputError, match=rf"1\{suffix} is"):
        frame_files.read(path)


def test_sixteen_bits_are_not_cut_to_eight_in_silence(tmp_path):
    assert cv2.imwrite(str(tmp_path / "1.png"), np.arange(4080, dtype=np.uint16).reshape(60, 68))
    with pytest.raises(InputError, match=r"1\.png has 16 bits per channel; convert it to 8"):
        frame_files.read(tmp_path / "1.png")


def test_a_png_that_ends_where_it_begins_is_an_error(tmp_path):
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\nIEND")
    with pytest.raises(InputError, match=r"1\.png is a truncated PNG"):
        frame_files.read(tmp_path / "1.png")


@pytest.mark.parametrize("size", [2, 5, 13])
def test_a_bmp_without_a_header_is_truncated(tmp_path, size):
    (tmp_path / "1.bmp").write_bytes((b"BM" + bytes(20))[:size])
    assert frame_files.defect(tmp_path / "1.bmp") == "is a truncated BMP"


def test_a_file_that_is_no_image_is_an_error(tmp_path):
    (tmp_path / "1.jpg").write_text("<html>not found</html>")
    with pytest.raises(InputError, match=r"1\.jpg is not a JPEG"):
        frame_files.read(tmp_path / "1.jpg")


def test_an_image_with_damaged_content_is_an_error(tmp_path):
    path, _ = picture(tmp_path / "1.png")
    content = bytearray(path.read_bytes())
    content[8:40] = bytes(32)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"1\.png is a damaged PNG .the checksum of .* is wrong"):
        frame_files.read(path)


def test_zeros_in_the_middle_of_a_jpeg_are_a_defect(tmp_path):
    path = tmp_path / "1.jpg"
    write_frame(path, 1, 340, 280)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    path.write_bytes(content)
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) is not None  # OpenCV sees nothing
    assert str(frame_files.defect(path)).startswith("is a damaged JPEG (Corrupt JPEG data")


def test_a_jpeg_that_is_cut_off_behind_its_thumbnail_is_truncated(tmp_path):
    """The thumbnail in the EXIF part has an end marker of its own."""
    write_frame(tmp_path / "small.jpg", 1, 40, 30)
    write_frame(tmp_path / "1.jpg", 2, 340, 280)
    thumbnail, whole = (tmp_path / "small.jpg").read_bytes(), (tmp_path / "1.jpg").read_bytes()
    part = b"\xff\xe1" + (len(thumbnail) + 8).to_bytes(2) + b"Exif\0\0" + thumbnail
    (tmp_path / "1.jpg").write_bytes(whole[:2] + part + whole[2:])
    assert frame_files.defect(tmp_path / "1.jpg") is None
    (tmp_path / "1.jpg").write_bytes(whole[:2] + part + whole[2:700])
    assert frame_files.defect(tmp_path / "1.jpg") == "is a truncated JPEG"


@pytest.mark.parametrize("kept", [3, 100, 200, 400])
def test_a_jpeg_that_is_cut_off_within_its_header_is_truncated(tmp_path, kept):
    write_frame(tmp_path / "1.jpg", 2, 340, 280)
    (tmp_path / "1.jpg").write_bytes((tmp_path / "1.jpg").read_bytes()[:kept])
    assert frame_files.defect(tmp_path / "1.jpg") == "is a truncated JPEG"


def test_what_a_camera_adds_behind_the_end_of_a_jpeg_is_no_defect(tmp_path):
    write_frame(tmp_path / "1.jpg", 1)
    (tmp_path / "1.jpg").write_bytes((tmp_path / "1.jpg").read_bytes() + bytes(10_000))
    assert frame_files.defect(tmp_path / "1.jpg") is None


def test_a_wrong_checksum_in_a_png_is_a_defect(tmp_path):
    path, _ = picture(tmp_path / "1.png")
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 1000] ^= 1
    path.write_bytes(content)
    assert frame_files.defect(path) == "is a damaged PNG (the checksum of b'IDAT' is wrong)"


@pytest.mark.parametrize("size", [0, 2**31 - 1])
def test_a_size_that_no_recording_has_is_a_defect(tmp_path, size):
    (tmp_path / "1.bmp").write_bytes(b"BM" + bytes(16) + size.to_bytes(4, "little") * 2 + bytes(100))
    assert frame_files.defect(tmp_path / "1.bmp") == f"says that it has {size} x {size} px"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_the_size_is_that_of_the_picture(tmp_path, suffix):
    assert frame_files.check(picture(tmp_path / f"1{suffix}")[0]) == (40, 50, 1)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "1.png")
    assert frame_files.defect(tmp_path / "1.png") == "is no file but a pipe or a device"


# --- how a picture is turned, and what shows through it ---------------------------------------------------------------


def turned(path, orientation, mode="RGB"):
    tags = Image.Exif()
    tags[0x0112] = orientation
    image = np.random.default_rng(0).integers(0, 255, (50, 40, 3), dtype=np.uint8)
    Image.fromarray(image).convert(mode).save(path, exif=tags)
    return image


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_and_orientation_are_those_that_a_frame_is_read_with(tmp_path, suffix, orientation):
    path = tmp_path / f"1{suffix}"
    image = turned(path, orientation)
    found, frame = frame_files.check(path), frame_files.read(path)
    assert found == (*frame.shape[1::-1], orientation) and frame_files.orientation(path) == orientation
    if suffix == ".png":  # as the standard says: rows and columns of the stored picture
        assert (frame == {1: image, 3: image[::-1, ::-1]}.get(orientation, frame)).all()


@pytest.mark.parametrize(
    "content", [b"Exif\0\0", b"Exif\0\0MM", b"Exif\0\0no tags at all, but text", b"Exif\0\0MM\0*" + b"\xff" * 40]
)
def test_a_block_that_is_no_exif_turns_nothing(tmp_path, content):
    path, _ = picture(tmp_path / "1.jpg")
    plain = path.read_bytes()
    path.write_bytes(plain[:2] + b"\xff\xe1" + (len(content) + 2).to_bytes(2) + content + plain[2:])
    assert frame_files.check(path) == (*frame_files.read(path).shape[1::-1], 1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("alpha", [0, 254])
def test_a_picture_with_transparent_pixels_is_refused(tmp_path, mode, alpha):
    path = tmp_path / "1.png"
    image = Image.new("L" if mode == "LA" else "RGB", (40, 50), 90)
    if mode == "P":
        image = image.convert("P")
        image.save(path, transparency=bytes([alpha] * 256))
    else:
        image.putalpha(alpha)
        image.save(path)
    assert str(frame_files.defect(path)).startswith("has transparent pixels; lay the picture over a background")
    with pytest.raises(InputError, match="transparent pixels"):
        frame_files.read(path)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_picture_that_could_have_transparent_pixels_but_has_none_is_read(tmp_path, mode):
    path = tmp_path / "1.png"
    image = Image.new("L" if mode == "LA" else "RGB", (40, 50), 90)
    if mode == "P":
        image.convert("P").save(path, transparency=bytes([255] * 256))
    else:
        image.putalpha(255)
        image.save(path)
    assert frame_files.defect(path) is None and frame_files.read(path).shape == (50, 40, 3)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_colour_that_means_transparent_is_refused_where_it_occurs(tmp_path, mode):
    path = tmp_path / "1.png"
    colour = 90 if mode == "L" else (90, 90, 90)
    Image.new(mode, (40, 50), colour).save(path, transparency=colour)
    assert "transparent pixels" in str(frame_files.defect(path))
    Image.new(mode, (40, 50), 10 if mode == "L" else (10, 10, 10)).save(path, transparency=colour)
    assert frame_files.defect(path) is None
