import base64

import pytest
from PIL import Image

from harness.errors import UserError
from harness.publish.brand import PLAIN
from harness.publish.client_file import TokenPrices, contrast, read_client

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def written(tmp_path, text, name="client.toml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_that_a_client_file_can_say_is_read(tmp_path):
    (tmp_path / "logo.png").write_bytes(PNG)
    path = written(
        tmp_path,
        """
        client = "Harbour  Trust"
        firm = "Keel & Sons"
        title = "Should the desk retrieve or train?"
        contact = ["Ada Keel", "ada@example.org"]
        confidentiality = "Confidential"
        accent = "#7A1F5C"
        logo = "logo.png"
        date = "1 May 2026"
        [prices]
        currency = "EUR"
        input = 0.5
        output = 2
        """,
    )
    found = read_client(path)
    assert found.brand.client == "Harbour Trust"
    assert found.brand.contact == ("Ada Keel", "ada@example.org")
    assert found.brand.accent == "#7a1f5c"
    assert (found.brand.logo.kind, found.brand.logo.width, found.brand.logo.height) == ("png", 1, 1)
    assert found.prices == TokenPrices("EUR", 0.5, 2.0)


def test_an_empty_client_file_is_the_plain_brand(tmp_path):
    found = read_client(written(tmp_path, ""))
    assert (found.brand, found.prices) == (PLAIN, None)


def test_every_problem_is_named_at_once(tmp_path):
    text = (
        'client = 3\ncolour = "red"\naccent = "#ffee00"\nlogo = "gone.png"\ncontact = 7\n[prices]\ncurrency = "USD"\n'
    )
    with pytest.raises(UserError) as told:
        read_client(written(tmp_path, text))
    lines = str(told.value).splitlines()
    assert len(lines) == 6
    assert any("no setting is called 'colour'" in line for line in lines)
    assert any("client must be text in quotes; got 3" in line for line in lines)
    assert any("too light to be read on white: its contrast is 1.2 to 1" in line for line in lines)
    assert any("gone.png cannot be read" in line for line in lines)
    assert any("prices needs currency, input and output" in line for line in lines)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"client = ", "is not TOML"),
        (b"client = '\xff'", "is not UTF-8 text"),
        (b"a = " + b"[" * 100_000, "is not TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_answered_with_a_sentence(tmp_path, content, words):
    path = tmp_path / "client.toml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words):
        read_client(path)


def test_a_missing_file_is_answered_with_a_sentence(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_client(tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"", b"GIF89a", PNG[:30], b"\x00" * 100, b"%PDF-1.4"])
def test_a_logo_that_is_no_picture_is_refused(tmp_path, content):
    (tmp_path / "logo.png").write_bytes(content)
    with pytest.raises(UserError, match=r"logo .*is not a PNG, JPEG or SVG picture"):
        read_client(written(tmp_path, 'logo = "logo.png"'))


@pytest.mark.parametrize(("width", "allowed"), [(6000, True), (6001, False)])
def test_a_logo_of_too_many_pixels_is_refused_before_it_is_unpacked(tmp_path, width, allowed):
    Image.new("1", (width, 5000)).save(tmp_path / "logo.png")
    path = written(tmp_path, 'logo = "logo.png"')
    if allowed:
        assert read_client(path).brand.logo.width == width
    else:
        with pytest.raises(UserError, match=r"logo .*logo.png has more than 30 million pixels; make it smaller"):
            read_client(path)


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        (
            'currency = "usd"\ninput = 1\noutput = 1',
            "currency must be three capital letters such as \"USD\"; got 'usd'",
        ),
        ("currency = 840\ninput = 1\noutput = 1", 'currency must be three capital letters such as "USD"; got 840'),
        ('currency = "USD"\ninput = -1\noutput = 1', "input must be a number from 0 to a million; got -1"),
        ('currency = "USD"\ninput = 1\noutput = true', "output must be a number from 0 to a million; got True"),
        ('currency = "USD"\ninput = nan\noutput = 1', "input must be a number from 0 to a million; got nan"),
        (
            'currency = "USD"\ninput = 1\noutput = 0x' + "f" * 5000,
            "output must be a number from 0 to a million; got a number of thousands of digits",
        ),
    ],
)
def test_a_price_that_is_none_is_named(tmp_path, prices, words):
    with pytest.raises(UserError) as told:
        read_client(written(tmp_path, f"[prices]\n{prices}\n"))
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("svg", "size"),
    [
        ('<svg viewBox="0 0 120 40" xmlns="http://www.w3.org/2000/svg"></svg>', (120, 40)),
        ('<svg width="90px" height="30px"></svg>', (90, 30)),
        ("<svg></svg>", (300, 100)),
    ],
)
def test_an_svg_logo_has_a_size(tmp_path, svg, size):
    (tmp_path / "logo.svg").write_text(svg, encoding="utf-8")
    logo = read_client(written(tmp_path, 'logo = "logo.svg"')).brand.logo
    assert (logo.kind, (logo.width, logo.height)) == ("svg", size)


def test_contrast_is_that_of_the_guidelines():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#ffffff", "#ffffff") == pytest.approx(1)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
