"""An evaluation that is broken off goes on, with every episode that had ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mario_world_model import cli
from mario_world_model.errors import InputError
from mario_world_model.evaluation.episodes import EpisodeScore
from mario_world_model.evaluation.record import episode_from_plain
from mario_world_model.evaluation.unfinished import Unfinished, partial_file

LINE = "evaluate --policy uniform --episodes 12 --max-steps 60 --workers 1 --seed 7 --output r.json"


def episodes(record: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(record.read_text())["episodes"]
    return found


def lines_of(path: Path) -> int:
    return path.read_text().count("\n") if path.is_file() else 0


def broken_off(folder: Path, line: str, number: signal.Signals, after: int) -> tuple[int, str]:
    """Status and last words of an evaluation that gets a signal when so many episodes are kept."""
    command = [sys.executable, "-m", "mario_world_model", *line.split()]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        while lines_of(folder / "r.json.partial") <= after:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        said = process.communicate()[1]
        return process.returncode, said


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("rom")
def test_what_was_broken_off_goes_on_and_ends_as_if_undisturbed(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = broken_off(there, LINE, signal.SIGINT, after=2)
    assert status == 130
    assert said.endswith("evaluate: interrupted; the same command goes on from here\n")
    status, said = broken_off(there, LINE, signal.SIGKILL, after=5)
    kept = lines_of(there / "r.json.partial") - 1
    assert kept >= 5
    # Fewer of them may be asked for, which costs none, and more.
    assert cli.main([*LINE.replace("--episodes 12", "--episodes 2").split()]) == 0
    assert len(episodes(there / "r.json")) == 2
    assert lines_of(there / "r.json.partial") - 1 >= kept
    assert cli.main([*LINE.replace("--episodes 12", "--episodes 14").split()]) == 0
    assert f"r.json.partial: {kept} episodes are there already" in capsys.readouterr().err.splitlines()[-1]
    assert not (there / "r.json.partial").exists()
    whole = episodes(there / "r.json")
    assert [one["index"] for one in whole] == list(range(14))
    assert cli.main(LINE.split()) == 0
    assert episodes(there / "r.json") == whole[:12]


@pytest.mark.usefixtures("rom")
def test_another_evaluation_is_refused_and_no_resume_starts_over(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken_off(there, LINE, signal.SIGTERM, after=1)
    left = (there / "r.json.partial").read_text()
    for other, name in (("--seed 8", "seed"), ("--policy right", "policy"), ("--sticky 0.1", "sticky")):
        assert cli.main([*LINE.split(), *other.split()]) == 2
        assert f"found one with another {name}; go on with its flags, or start over" in capsys.readouterr().err
        assert (there / "r.json.partial").read_text() == left
    assert not (there / "r.json").exists()
    assert cli.main([*LINE.split(), "--seed", "8", "--episodes", "1", "--no-resume"]) == 0
    assert len(episodes(there / "r.json")) == 1


@pytest.mark.usefixtures("rom")
def test_without_an_output_nothing_is_promised(
    there: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def add_and_stop(self: Unfinished[EpisodeScore], episode: EpisodeScore) -> None:
        self.episodes.append(episode)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Unfinished, "add", add_and_stop)
    assert cli.main([*LINE.replace("--output r.json", "--video v.mp4").split()]) == 130
    assert capsys.readouterr().err == "mario-world-model evaluate: interrupted\n"
    assert list(there.iterdir()) == []


def test_a_torn_line_is_left_out_and_a_damaged_file_refused(tmp_path: Path) -> None:
    output, score = tmp_path / "r.json", EpisodeScore(3, 10.0, 400, False, True, 50, 200, (398, 80), (2, 3), "1x50")
    played = Unfinished(output, {"seed": 1, "holds": (1, 4)}, resume=True, from_plain=episode_from_plain)
    played.add(score)
    file = partial_file(output)
    whole = file.read_text()
    file.write_text(whole + whole.splitlines()[1][:30])
    again = Unfinished(output, {"seed": 1, "holds": (1, 4)}, resume=True, from_plain=episode_from_plain)
    assert again.episodes == [score]
    assert file.read_text() == whole
    for damage in ("", "\n", "[]\n", whole.replace("400", '"far"'), whole.replace('"schema": 1', '"schema": 9')):
        file.write_text(damage)
        with pytest.raises(InputError, match=r"r\.json\.partial: expected the episodes .* --no-resume starts over"):
            Unfinished(output, {"seed": 1}, resume=True, from_plain=episode_from_plain)
    assert Unfinished(output, {"seed": 1}, resume=False, from_plain=episode_from_plain).episodes == []


def test_what_a_link_leads_to_is_left_alone(tmp_path: Path) -> None:
    output, theirs = tmp_path / "r.json", tmp_path / "theirs"
    theirs.write_text("theirs")
    partial_file(output).symlink_to(theirs)
    Unfinished(output, {}, resume=True, from_plain=episode_from_plain).add(
        EpisodeScore(0, 1.0, 40, False, False, 5, 20)
    )
    assert theirs.read_text() == "theirs"
    assert lines_of(partial_file(output)) == 2


def test_the_time_before_an_interruption_counts(tmp_path: Path) -> None:
    output, score = tmp_path / "r.json", EpisodeScore(0, 1.0, 40, False, False, 5, 20)
    Unfinished(output, {}, resume=True, from_plain=episode_from_plain).add(score)
    file = partial_file(output)
    head, line = file.read_text().splitlines()
    file.write_text(f"{head}\n{json.dumps({**json.loads(line), 'seconds': 100.5})}\n")
    assert 100.5 <= Unfinished(output, {}, resume=True, from_plain=episode_from_plain).seconds < 101.0
