"""Frame files: order in time, complete images only."""

import cv2
import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.frames import frame_files


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
    with pytest.raises(InputError, match=r"1\.png cannot be decoded"):
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
    with pytest.raises(InputError, match="cannot be decoded"):
        frame_files.read(path)
