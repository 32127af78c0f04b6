"""Checkpoint folders: they come back, diffusers opens them, and the whole tiny pipeline gives diffusers' latents."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_checkpoint import WIDTH, tiny_components

from warehouse.errors import UsageError

torch = pytest.importorskip("torch")

from model.components import Components, load, save  # noqa: E402
from model.contact import read_picture  # noqa: E402
from model.feed.encoders import Encoders  # noqa: E402
from model.feed.messages import Encoding  # noqa: E402
from model.feed.pixels import fitted as producers  # noqa: E402
from model.generate import Settings, Wish, check, generate, latents, references, shown  # noqa: E402
from model.text.characters import CharacterEncoder  # noqa: E402
from model.text.encoder import BLANK, Prompt, padded  # noqa: E402


@pytest.fixture(scope="module")
def parts() -> Components:
    return tiny_components()


@pytest.fixture(scope="module")
def folder(parts: Components, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("checkpoint") / "tiny"
    save(parts, made)
    return made


def wishes(*texts: str, count: int = 1) -> list[Wish]:
    return [Wish(Prompt(text), number) for text in texts for number in range(count)]


def test_a_checkpoint_comes_back_to_the_last_bit(parts: Components, folder: Path) -> None:
    again = load(folder)
    for ours, theirs in ((parts.mmdit, again.mmdit), (parts.vae, again.vae)):
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        for name, tensor in ours.state_dict().items():
            assert torch.equal(tensor, theirs.state_dict()[name])
    assert again.schedule == parts.schedule
    assert again.identities() == parts.identities()
    settings = Settings(32, 48, steps=3)
    (before,), (after,) = generate(parts, wishes("a"), settings), generate(again, wishes("a"), settings)
    assert np.abs(before.astype(int) - after).max() <= 1  # weights that lie elsewhere in memory may round otherwise


def test_diffusers_opens_every_part_and_samples_the_same(parts: Components, folder: Path) -> None:
    """The whole pipeline with guidance, its text given as embeddings: the encoder of characters is none of theirs."""
    from annotate.torchvision_shim import prepare_torchvision

    prepare_torchvision()
    diffusers = pytest.importorskip("diffusers")
    for part, name in (("transformer", "QwenImageTransformer2DModel"), ("vae", "AutoencoderKLQwenImage"),
                       ("scheduler", "FlowMatchEulerDiscreteScheduler")):  # fmt: skip
        assert type(getattr(diffusers, name).from_pretrained(folder / part)).__name__ == name
    index = json.loads((folder / "model_index.json").read_text())
    assert index["text_encoder"] == [None, None]
    assert "character" in index["_text_encoder"]
    assert "no weights" in (folder / "text_encoder" / "config.json").read_text()
    theirs = diffusers.QwenImagePipeline.from_pretrained(folder, text_encoder=None, tokenizer=None)
    theirs.set_progress_bar_config(disable=True)

    asked = wishes("The character “永”.", "another, longer one with more words", "a")
    settings = Settings(32, 48, steps=4, guidance=3.0, seed=5)
    ours = latents(parts, asked, settings)
    from model.packing import Grid, pack, unpack
    from model.sampler import initial_noise

    noise = initial_noise(5, [w.prompt.text for w in asked], [0, 0, 0], (4, 4, 6))
    context, lengths = padded(parts.text.encode([w.prompt for w in asked]))
    mask = (torch.arange(context.shape[1]) < lengths[:, None]).long()
    blank = parts.text.encode([BLANK])[0].expand(3, -1, -1)
    found = theirs(
        prompt_embeds=context, prompt_embeds_mask=mask, negative_prompt_embeds=blank,
        negative_prompt_embeds_mask=torch.ones(3, 1, dtype=torch.long), height=32, width=48, num_inference_steps=4,
        true_cfg_scale=3.0, latents=pack(noise, 2), output_type="latent",
    ).images  # fmt: skip
    torch.testing.assert_close(ours, unpack(found, Grid(2, 3), 2), atol=2e-5, rtol=0)


def test_a_picture_depends_on_its_seed_prompt_and_number_alone(parts: Components) -> None:
    settings = Settings(32, 32, steps=2, seed=3)
    asked = [*wishes("one", "two, and longer", count=2)]
    whole = list(generate(parts, asked, settings, batch=3))
    for order in ([2], [3, 0]):
        for place, picture in zip(order, generate(parts, [asked[i] for i in order], settings), strict=True):
            assert np.abs(picture.astype(int) - whole[place]).max() <= 1  # a batch of another size may round otherwise
    assert len({picture.tobytes() for picture in whole}) == 4
    other = next(iter(generate(parts, asked[:1], Settings(32, 32, steps=2, seed=4))))
    assert not np.array_equal(other, whole[0])


def test_progress_counts_steps_of_pictures(parts: Components) -> None:
    heard: list[int] = []
    list(generate(parts, wishes("a", count=3), Settings(16, 16, steps=2), batch=2, on_step=heard.append))
    assert heard == [2, 4, 5, 6]


def test_references_are_seen_and_brought_to_the_size(parts: Components) -> None:
    rng = np.random.default_rng(0)
    images = tuple(rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((40, 90, 3), (64, 64, 3)))
    settings = Settings(32, 32, steps=2, seed=3)
    found = [
        latents(parts, [Wish(Prompt("the same", some))], settings) for some in ((), images[:1], images, images[::-1])
    ]
    for i, one in enumerate(found):
        for other in found[i + 1 :]:
            assert (one - other).abs().max() > 1e-4
    mixed = latents(parts, [Wish(Prompt("the same")), Wish(Prompt("the same", images))], settings)
    torch.testing.assert_close(mixed, torch.cat([found[0], found[2]]), atol=1e-4, rtol=0)


def test_an_edit_sees_in_sampling_what_it_saw_in_training(parts: Components, tmp_path: Path) -> None:
    """Both doors, a lying JPEG that is reduced while decoding, and a picture of the size already: to the last bit."""
    settings = Settings(32, 48)
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (7, 5, 3), dtype=np.uint8)).resize((500, 700))
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth.save(tmp_path / "lying.jpg", exif=exif)
    smooth.crop((0, 0, 300, 80)).save(tmp_path / "wide.png")
    smooth.crop((0, 0, 48, 32)).save(tmp_path / "fits.png")
    files = [tmp_path / name for name in ("lying.jpg", "wide.png", "fits.png")]

    trained = [producers(path.read_bytes(), settings.height, settings.width).pixels for path in files]
    sampled = tuple(read_picture(path, settings.height, settings.width) for path in files)
    plain = tuple(np.asarray(Image.open(path)) for path in files[1:])
    assert any(image.shape != (32, 48, 3) for image in plain)
    (wish,) = shown([Wish(Prompt("redder", (sampled[0], *plain)))], settings)
    for ours, theirs in zip(wish.prompt.images, trained, strict=True):
        assert np.array_equal(ours, theirs)  # what the text encoder is shown

    text = parts.text
    encoding = Encoding("v", text.identity, "p", parts.vae.config.z_dim, 8, text.width, "float32", "float32", 1)
    known = Encoders(parts.vae, text, encoding, "cpu").latents(trained)
    (found,) = references(parts, [wish.prompt])
    for one, other in zip(found, known, strict=True):
        assert torch.equal(one, other)


def test_the_text_encoder_is_shown_the_cut_pictures(parts: Components) -> None:
    seen: list[tuple[int, ...]] = []

    class Watched(CharacterEncoder):
        def encode(self, prompts):
            seen.extend(image.shape for prompt in prompts for image in prompt.images)
            return super().encode(prompts)

        def count(self, prompt):
            seen.extend(image.shape for image in prompt.images)
            return super().count(prompt)

    watched = Components(parts.mmdit, parts.vae, Watched(WIDTH), parts.schedule)
    wide = np.zeros((40, 90, 3), np.uint8)
    list(generate(watched, [Wish(Prompt("x", (wide,)))], Settings(32, 48, steps=1, guidance=2.0)))
    assert len(seen) == 4  # counted and encoded, with the words and without
    assert set(seen) == {(32, 48, 3)}


def test_what_cannot_be_drawn_is_refused(parts: Components) -> None:
    with pytest.raises(
        UsageError, match="100x90 cannot be made: width and height must be multiples of 16, such as 96x96"
    ):
        check(parts, wishes("a"), Settings(90, 100))
    short = Components(parts.mmdit, parts.vae, CharacterEncoder(WIDTH, limit=3), parts.schedule)
    check(short, wishes("a b c"), Settings(32, 32))
    with pytest.raises(UsageError, match="has 4 tokens, and at most 3 are read"):
        check(short, wishes("a b c d"), Settings(32, 32))
    with pytest.raises(UsageError, match="guidance is -1"):
        Settings(32, 32, guidance=-1)


def test_parts_that_are_not_of_one_model_are_refused(parts: Components) -> None:
    with pytest.raises(UsageError, match="vectors of 7, the transformer takes 24"):
        Components(parts.mmdit, parts.vae, CharacterEncoder(7), parts.schedule)
    with pytest.raises(UsageError, match="4 channels, the transformer takes 64"):
        tiny_components(in_channels=64, out_channels=16)


def test_a_folder_that_lacks_a_part_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model at"):
        load(tmp_path / "nothing")
    shutil.copytree(folder, tmp_path / "half")
    shutil.rmtree(tmp_path / "half" / "vae")
    with pytest.raises(UsageError, match="no whole checkpoint: it lacks vae"):
        load(tmp_path / "half")


def test_a_finished_folder_is_never_overwritten(parts: Components, folder: Path, tmp_path: Path) -> None:
    before = (folder / "model_index.json").stat().st_mtime_ns
    with pytest.raises(UsageError, match="exists already"):
        save(parts, folder)
    assert (folder / "model_index.json").stat().st_mtime_ns == before

    class Broken:
        width, limit, identity, dtype = WIDTH, 1, "broken", torch.float32

    with pytest.raises(UsageError, match="Broken cannot be saved"):
        save(Components(parts.mmdit, parts.vae, Broken(), parts.schedule), tmp_path / "new")
    assert list(tmp_path.iterdir()) == []  # nothing half-done is left
