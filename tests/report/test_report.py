"""A report of real evaluations: what it says, and what a browser without a network makes of it."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from mario_world_model import cli
from mario_world_model.checkpoints import save_controllers
from mario_world_model.config import GameConfig
from mario_world_model.errors import InputError
from mario_world_model.evaluation.episodes import EpisodeScore
from mario_world_model.evaluation.record import Origin, Record, write_record
from mario_world_model.evaluation.summary import summarise
from mario_world_model.models.controller import Controllers
from mario_world_model.report.agents import agents_by_conditions
from mario_world_model.report.charts import Line, interval_chart, line_chart, standalone
from mario_world_model.report.document import Table
from mario_world_model.report.film import last_moments
from mario_world_model.report.inputs import gather
from mario_world_model.report.level_map import map_level
from mario_world_model.report.markdown import to_csv
from mario_world_model.rollouts.episode_file import write_episode
from mario_world_model.statistics.interval import Interval
from mario_world_model.training.train_controller import path_file
from mario_world_model.utils.checkpoint import load_checkpoint
from tests.browser import PHONE
from tests.rollouts.episodes import made_up_episode
from tests.world import ACTIONS, save_world, small_world

PLAY = "evaluate --protocol sticky --episodes 6 --max-steps 120 --workers 1"


def made_up(name: str, seed: int, mean: float, steps: int, episodes: int = 6, temperature: float = 1.0) -> Record:
    """An evaluation of an agent that gets about as far as `mean`."""
    rng = np.random.default_rng(seed)
    scores = [
        EpisodeScore(index, x - 40.0, int(x), bool(x > 3160), bool(x <= 3160), 100, 400, (int(x), 79), (2, 3, 4))
        for index, x in enumerate(np.clip(rng.normal(mean + 5 * seed, 60.0, episodes), 50, 3161))
    ]
    kind = "ppo" if name.startswith("PPO") else "world model"
    settings: dict[str, Any] = {"controller": {"dream": {"temperature": temperature}}} if kind != "ppo" else {}
    origin = Origin(name, kind, seed, steps, 1.5, {"mdn_rnn": "ab" * 32}, settings, dreamt=210.0)
    return Record(origin, "sticky", GameConfig(), 1_000_000, 120, summarise(scores), scores, 1.0, {"command": "c"}, {})


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("episodes", []),
        ("seed", math.inf),
        ("provenance", {"machine": []}),
        ("agent", {"name": ["a"], "kind": "ppo"}),
        ("agent", {"name": "a", "kind": "ppo", "training_steps": "many"}),
        ("agent", {"name": "a", "kind": "ppo", "core_hours": math.nan}),
        ("agent", {"name": "a", "kind": "ppo", "dreamt": 1e308}),
        ("agent", {"name": "a", "kind": "ppo", "settings": {"ppo": None}}),
        ("agent", {"name": "a", "kind": "ppo", "files": {"ppo": None}}),
    ],
)
def test_a_record_that_says_something_else_is_refused(tmp_path: Path, part: str, value: object) -> None:
    write_record(tmp_path / "a.json", made_up("PPO", 0, 900.0, 1000))
    plain = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "a.json").write_text(json.dumps({**plain, part: value}))
    with pytest.raises(InputError, match="expected the record of an evaluation"):
        gather([tmp_path / "a.json"])


@pytest.fixture(scope="module")
def site(rom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with evaluations, a probe, logs and the report of all."""
    del rom
    folder = tmp_path_factory.mktemp("site")
    runs = folder / "runs"
    for policy in ("uniform", "right"):
        assert cli.main([*PLAY.split(), "--policy", policy, "--output", str(runs / f"{policy}.json")]) == 0
    for seed in range(3):
        write_record(runs / f"ppo-{seed}.json", made_up("PPO, 1,000 steps", seed, 900.0, 1000))
    write_record(runs / "wm.json", made_up("world model", 0, 910.0, 500))
    write_record(runs / "hot.json", made_up("world model, hot", 0, 700.0, 500, temperature=1.3))
    world = small_world()
    save_world(folder, world)
    fingerprint = load_checkpoint(folder / "m.pt", "mdn_rnn").fingerprint
    path = Controllers(0.1 * torch.randn(3, ACTIONS, world.features), torch.zeros(3, ACTIONS), bound=1.0)
    save_controllers(path_file(folder / "c.pt"), path, world, fingerprint, {})
    (folder / "d").mkdir()
    for index in range(12):
        write_episode(folder / "d" / f"episode-{index:06d}.safetensors", made_up_episode(index, steps=60))
    probe = (
        f"probe --dataset {folder}/d --vae {folder}/v.pt --mdnrnn {folder}/m.pt --controller {folder}/c.pt "
        f"--output {runs}/probe.json --dreams 4 --episodes 1 --max-steps 25"
    )
    assert cli.main(probe.split()) == 0
    log = runs / "logs/ppo/20260101-000000/scalars.jsonl"
    log.parent.mkdir(parents=True)
    rows = [{"step": 100 * n, "time": n, "validation/max_x": 300 + 9 * n, "cost/seconds": n} for n in range(1, 9)]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 900, "val')
    (log.parent / "config.json").write_text('{"seed": 4}')
    results = folder / "results.md"
    results.write_text("# Before\n\n<!-- report -->outdated<!-- /report -->\n\nAfter\n")
    command = (
        f"report {runs} --output {folder}/report --into {results} --dataset {folder}/d --vae {folder}/v.pt "
        f"--mdnrnn {folder}/m.pt"
    )
    assert cli.main(command.split()) == 0
    return folder


def test_figures_and_verdicts_are_those_of_the_episodes(site: Path) -> None:
    found = json.loads((site / "report/report.json").read_text())[0]
    by_name = {one["agent"]["name"]: one for one in found["agents"]}
    ppo = by_name["PPO, 1,000 steps"]
    assert ppo["training_seeds"] == [0, 1, 2]
    assert ppo["episodes"] == 18
    assert ppo["real_frames"] == 4000
    uniform = json.loads((site / "runs/uniform.json").read_text())["episodes"]
    assert by_name["uniform"]["max_x"]["mean"]["estimate"] == np.mean([one["max_x"] for one in uniform])
    text = (site / "report/report.md").read_text()
    assert "not distinguishable" in text  # 900 and 910, six episodes each
    assert re.search(r"\| PPO, 1,000 steps \| 1,000 \| 4,000 \| 3 \| 18 \|", text)
    assert "ab" * 32 in text
    with (site / "report/tables/temperature.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["temperature"] for row in rows] == ["1", "1.3"]


def test_a_file_is_given_the_findings_and_keeps_the_rest(site: Path) -> None:
    text = (site / "results.md").read_text()
    assert text.startswith("# Before\n\n<!-- report -->\n- ")
    assert text.endswith("<!-- /report -->\n\nAfter\n")
    assert "| PPO, 1,000 steps |" in text
    assert "outdated" not in text


def test_every_figure_is_a_sound_file_and_is_referred_to(site: Path) -> None:
    text = (site / "report/report.md").read_text()
    figures = list((site / "report/figures").iterdir())
    assert {path.suffix for path in figures} == {".svg", ".png", ".mp4"}
    for path in figures:
        assert f"figures/{path.name}" in text
        if path.suffix == ".svg":
            assert ElementTree.fromstring(path.read_text()).get("viewBox")
            numbers = re.findall(r'\b(?:cx|cy|x|y|d)="([^"]*)"', path.read_text())
            assert not any("nan" in one or "inf" in one for one in numbers)


_SMALLEST = """() => Math.min(...[...document.querySelectorAll("svg.chart text")].map((text) =>
    parseFloat(getComputedStyle(text).fontSize) * Math.hypot(text.getScreenCTM().a, text.getScreenCTM().b)))"""
_OUTSIDE = """() => [...document.querySelectorAll("svg.chart text")].filter((text) => {
    const [own, all] = [text, text.ownerSVGElement].map((one) => one.getBoundingClientRect());
    return own.left < all.left - 1 || own.right > all.right + 1 || own.bottom > all.bottom + 1;
}).map((text) => text.textContent)"""
_CONTRAST = """() => {
    const light = (colour) => {
        const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map((part) => {
            const share = part / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const back = light(getComputedStyle(document.body).backgroundColor);
    const shown = "p, li, th, td, figcaption, a, svg.chart text, svg.chart .line, svg.chart circle:not(.back)";
    return Math.min(...[...document.querySelectorAll(shown)].map((one) => {
        const style = getComputedStyle(one);
        const own = light(one instanceof SVGPathElement ? style.stroke
            : one instanceof SVGElement ? style.fill : style.color);
        return (Math.max(own, back) + 0.05) / (Math.min(own, back) + 0.05);
    }));
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", [{"viewport": {"width": 1280, "height": 900}}, PHONE], ids=["desktop", "phone"])
def test_the_page_stands_alone_in_a_browser_without_network(
    site: Path, browser: Any, kind: dict[str, Any], scheme: str
) -> None:
    context = browser.new_context(offline=True, color_scheme=scheme, **kind)
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    address = (site / "report/report.html").as_uri()
    page.goto(address)
    page.wait_for_function("document.querySelector('video').readyState > 0")
    assert complaints == []
    assert [one for one in asked if not one.startswith("data:")] == [address]
    # Nothing is wider than the window, letters are large enough and inside their charts, every picture has come.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(_SMALLEST) >= 9.5
    assert page.evaluate(_OUTSIDE) == []
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    assert page.evaluate(_CONTRAST) >= 3.0
    context.close()


@pytest.mark.usefixtures("rom")
def test_the_map_is_the_level_without_mario() -> None:
    level = map_level(GameConfig())
    assert level.pixels.shape[1] > 3200
    # Where he starts the sky is as empty as beside him: what stood there is gone.
    here = level.pixels[: 208 - level.top, 40 - level.left : 56 - level.left]
    assert len(np.unique(here.reshape(-1, 3), axis=0)) <= 5


def test_a_recorded_episode_ends_as_it_did(site: Path) -> None:
    record = next(one for one in gather([site / "runs/right.json"]).records)
    for episode in record.episodes:
        strip = last_moments(record, episode)
        assert strip is not None
        assert strip.shape[0] == 112
    elsewhere = EpisodeScore(**{**vars(record.episodes[0]), "end": (1, 1)})
    assert last_moments(record, elsewhere) is None


def test_what_cannot_be_reported_costs_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty, damaged = tmp_path / "empty", tmp_path / "damaged.json"
    empty.mkdir()
    damaged.write_text('{"record": "evaluation", "schema": 1')
    other = tmp_path / "other.json"
    other.write_text("{}")
    write_record(tmp_path / "a.json", made_up("PPO", 0, 900.0, 10))
    for line, complaint in (
        ("report", "expected files or folders of evaluations"),
        (f"report {empty}", "expected the output of evaluate --output, found no such file"),
        (f"report {tmp_path}/nowhere", "expected a file or a folder of evaluations, found none"),
        (f"report {damaged}", "expected JSON, found a damaged file"),
        (f"report {other}", "expected an evaluation, a probe or a scalars.jsonl"),
        (f"report {tmp_path}/a.json --into {other}", "expected a file with one <!-- report -->"),
        (f"report {tmp_path}/a.json --dataset {empty}", "expected --pretrained, or --vae and --mdnrnn"),
    ):
        assert cli.main([*line.split(), "--output", str(tmp_path / "out")]) == 2
        said = capsys.readouterr().err
        assert complaint in said
        assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_one_agent_is_not_counted_twice() -> None:
    with pytest.raises(InputError, match="one evaluation for each training seed"):
        agents_by_conditions([made_up("PPO", 0, 900.0, 10), made_up("PPO", 0, 800.0, 10)])
    with pytest.raises(InputError, match="as many episodes for each training seed"):
        agents_by_conditions([made_up("PPO", 0, 900.0, 10), made_up("PPO", 1, 800.0, 10, episodes=7)])


def test_a_spreadsheet_does_not_compute_what_a_stranger_calls_his_agent() -> None:
    cells = ("=cmd|' /C calc'!A0", "@SUM(1)", "+1+1", "-2+3", "-0.5", "+12 %", "1,452", "−3", "PPO")
    for read in csv.reader(to_csv(Table("t", "", cells, [cells])).splitlines()):
        assert read == [f"'{cell}" for cell in cells[:4]] + list(cells[4:])


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0], [math.nan, 3.0], [-5.0, 1e7], []])
def test_charts_take_whatever_comes(values: list[float]) -> None:
    steps = [float(number + 1) for number in range(len(values))]
    for log_x in (False, True):
        ElementTree.fromstring(standalone(line_chart([Line("a & b", steps, values, 3)], "x", "y", log_x)))
    rows = [("a < b", Interval(value, math.nan, math.nan), 9) for value in values]
    ElementTree.fromstring(standalone(interval_chart(rows, "x")))
