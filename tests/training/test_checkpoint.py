import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.forks import run_anew
from wbc.config import RunConfig
from wbc.errors import CheckpointError
from wbc.models.build import build
from wbc.training.checkpoint import Checkpoint, read_checkpoint, restore_model, write_checkpoint


@pytest.fixture
def checkpoint(small_config: Callable[..., RunConfig]) -> Checkpoint:
    config = small_config()
    return Checkpoint(config=config, epoch=2, model=build(config, None).state_dict(), optimiser={"state": {}})


def test_checkpoint_reads_back_as_it_was_written(checkpoint: Checkpoint, tmp_path: Path) -> None:
    write_checkpoint(checkpoint, tmp_path / "a.pt")
    read = read_checkpoint(tmp_path / "a.pt")
    assert read.config == checkpoint.config
    assert read.epoch == 2
    assert all(torch.equal(value, checkpoint.model[name]) for name, value in read.model.items())
    assert not list(tmp_path.glob("*.tmp"))


def test_checkpoint_of_before_there_were_fast_paths_is_one_of_the_plain_ones(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    write_checkpoint(checkpoint, tmp_path / "a.pt")
    fields = torch.load(tmp_path / "a.pt", weights_only=True)
    del fields["config"]["fast"]
    torch.save(fields, tmp_path / "a.pt")
    assert read_checkpoint(tmp_path / "a.pt").config == dataclasses.replace(checkpoint.config, fast=False)


def test_checkpoint_loads_without_running_code(checkpoint: Checkpoint, tmp_path: Path) -> None:
    write_checkpoint(checkpoint, tmp_path / "a.pt")
    assert torch.load(tmp_path / "a.pt", weights_only=True)["epoch"] == 2


def test_restore_of_weights_of_another_model_is_refused(checkpoint: Checkpoint) -> None:
    other = dataclasses.replace(checkpoint, config=dataclasses.replace(checkpoint.config, model="vgg16"))
    with pytest.raises(CheckpointError, match="not those of vgg16"):
        restore_model(other)


@pytest.mark.parametrize("damage", ["truncated", "foreign", "missing", "one bit"])
def test_read_of_a_damaged_checkpoint_names_the_file(checkpoint: Checkpoint, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.pt"
    if damage == "truncated":
        write_checkpoint(checkpoint, path)
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "one bit":
        write_checkpoint(checkpoint, path)
        value = next(iter(checkpoint.model.values())).numpy().tobytes()
        content = bytearray(path.read_bytes())
        content[content.index(value) + 1] ^= 1
        path.write_bytes(content)
        torch.load(path, weights_only=True)  # PyTorch itself takes it
    elif damage == "foreign":
        torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match=str(path)):
        read_checkpoint(path)


def test_write_to_a_full_disk_keeps_what_was_there(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    write_checkpoint(checkpoint, path)
    before = path.read_bytes()
    script = f"""
import signal
from pathlib import Path
import resource
from wbc.errors import CheckpointError
from wbc.training.checkpoint import read_checkpoint, write_checkpoint
path = Path({str(path)!r})
checkpoint = read_checkpoint(path)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_checkpoint(checkpoint, path)
except CheckpointError as error:
    print("refused:", error)
"""
    done = run_anew(Path(__file__).parents[2], "-c", script)
    assert "refused: cannot write the checkpoint" in done.stdout, done.stderr
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.tmp"))
