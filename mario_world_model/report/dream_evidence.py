"""Where dreams can be believed and where they go wrong: what `probe` found, and dreams of several temperatures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from mario_world_model.evaluation.record import Record
from mario_world_model.report.agents import AgentResult
from mario_world_model.report.charts import Line, histogram, line_chart
from mario_world_model.report.comparison import interval_text, share_text
from mario_world_model.report.document import Block, Figure, Section, Table, Text


def dream_evidence(name: str, probe: dict[str, Any], number: int) -> Section:
    """The section of one probe; what it lacks is left out."""
    title = "The dream against the game" if number == 0 else f"The dream against the game: {name}"
    return Section(title, list(_blocks(probe, f"{number + 1}")))


def _blocks(probe: dict[str, Any], slug: str) -> Iterator[Block]:
    agreement = probe.get("agreement")
    if agreement:
        yield from _agreement(agreement, slug)
    if probe.get("mortality"):
        yield _mortality(probe["mortality"], slug)
    if probe.get("one_step"):
        step = probe["one_step"]
        yield Text(
            f"One step ahead, {step['deaths']} deaths in {step['steps']:,} steps: recall {step['recall']:.0%}, "
            f"precision {step['precision']:.0%}, {step['false_alarms']:.1f} false alarms per 1,000 steps, "
            f"AUC {step['auc']:.3f}."
        )
    if probe.get("open_loop"):
        yield from _foresight(probe["open_loop"], slug)
    if probe.get("drift"):
        yield from _drift(probe["drift"], slug)
    if probe.get("latents"):
        yield _readouts(probe, slug)
    if probe.get("mixture"):
        yield from _mixture(probe["mixture"], slug)


def _agreement(found: dict[str, Any], slug: str) -> Iterator[Block]:
    yield Figure(
        f"agreement_{slug}",
        f"What controllers were promised in the dream and what the game gave them, one point each: Spearman "
        f"{'–' if found['spearman'] is None else format(found['spearman'], '.2f')}.",
        line_chart([Line("", found["dreamt"], found["real"], 0, joined=False)], "dreamt return", "real return"),
    )
    gap = sum(found["opening_dreamt"]) / len(found["opening_dreamt"]) - sum(found["opening_real"]) / len(
        found["opening_real"]
    )
    yield Text(
        f"From the start of the level, over as many steps in both, the dream promises {gap:+.0f} beyond what the "
        "game gives."
    )


def _mortality(rows: Sequence[dict[str, Any]], slug: str) -> Table:
    return Table(
        f"mortality_{slug}",
        "How often the controller dies within a dream's length, from situations of its own real episodes, by their "
        "place in the level: where the dream is kinder than the game, evolution learns what does not work",
        ("x", "situations", "dies in the dream", "in the game"),
        [
            [
                f"{row['first']} to {row['last']}",
                f"{row['situations']:,}",
                f"{row['dreamt']:.0%}",
                f"{row['real']:.0%}",
            ]
            for row in rows
        ],
    )


def _foresight(rows: Sequence[dict[str, Any]], slug: str) -> Iterator[Block]:
    by_temperature: dict[float, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_temperature[row["temperature"]].append(row)
    lines = []
    for number, (temperature, own) in enumerate(sorted(by_temperature.items())):
        for name, field, colour in (
            ("death by its step", "death", 2 * number),
            ("where Mario survived", "survived", 2 * number + 1),
        ):
            label = f"{name}, {'likeliest path' if temperature == 0 else f'temperature {temperature:g}'}"
            known = [(row["horizon"], row[field]) for row in own if row[field] is not None]
            if known:
                lines.append(Line(label, [before for before, _ in known], [chance for _, chance in known], colour))
    yield Figure(
        f"foresight_{slug}",
        "Deaths that dreams foresee which begin so many steps before them and are fed the real actions, and deaths "
        "that they invent in as long a time that was survived.",
        line_chart(lines, "steps before the death", "probability of death", y_range=(0.0, 1.0)),
    )
    if any(row.get("flag") is not None for row in rows):
        yield Table(
            f"flags_foreseen_{slug}",
            "The flag in dreams that begin before it and are fed the real actions",
            ("steps before", "temperature", "flag"),
            [
                [str(row["horizon"]), f"{row['temperature']:g}", f"{row['flag']:.0%}"]
                for row in rows
                if row.get("flag") is not None
            ],
        )


def _drift(rows: Sequence[dict[str, Any]], slug: str) -> Iterator[Block]:
    by_temperature: dict[float, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_temperature[row["temperature"]].append(row)
    quality, places = [], []
    for number, (temperature, own) in enumerate(sorted(by_temperature.items())):
        horizons = [row["horizon"] for row in own]
        label = "likeliest path" if temperature == 0 else f"temperature {temperature:g}"
        quality.append(Line(f"dream, {label}", horizons, [row["psnr"] for row in own], number))
        for part, name in enumerate(own[0]["errors"]):
            places.append(Line(f"{name}, {label}", horizons, [row["errors"][name] for row in own], 2 * number + part))
    first = next(iter(by_temperature.values()))
    horizons = [row["horizon"] for row in first]
    quality.append(Line("V alone", horizons, [row["psnr_reconstruction"] for row in first], 6, thin=True))
    places += [
        Line(
            f"{name}, off real latents",
            horizons,
            [row["errors_reconstruction"][name] for row in first],
            6 + part,
            thin=True,
        )
        for part, name in enumerate(first[0]["errors"])
    ]
    yield Figure(
        f"drift_{slug}",
        "Drift: likeness of dreamt to real frames, so many steps after they parted, under the same actions.",
        line_chart(quality, "steps", "PSNR, dB"),
    )
    yield Figure(
        f"drift_place_{slug}",
        "Drift: error of Mario's place as read off dreamt latents.",
        line_chart(places, "steps", "pixels"),
    )


def _readouts(probe: dict[str, Any], slug: str) -> Table:
    rows = []
    memory = {(one["target"], one["reader"]): one for one in probe.get("features", [])}
    for one in probe["latents"]:
        both = memory.get((one["target"], one["reader"]))
        after = "" if both is None else f"{both['r2']:.2f} ({both['error']:.1f})"
        rows.append([f"{one['target']}, {one['reader']}", f"{one['r2']:.2f} ({one['error']:.1f})", after])
    return Table(
        f"readouts_{slug}",
        "What can be read off latents: R² on held-out episodes, mean absolute error in brackets",
        ("read off", "z", "[z, h]"),
        rows,
    )


def _mixture(found: dict[str, Any], slug: str) -> Iterator[Block]:
    entropy, spread = found["entropy"], found["log_sigma"]
    yield Figure(
        f"mixture_entropy_{slug}",
        f"Entropy of the mixture's weights over held-out steps, nats: mean {entropy['mean']:.2f} of at most "
        f"{found['most']:.2f}. All of it near 0 would be a mixture that has collapsed to one Gaussian.",
        histogram(entropy["edges"], entropy["shares"], "entropy, nats"),
    )
    yield Figure(
        f"mixture_sigma_{slug}",
        f"Spread of the likeliest component, log σ of every latent number: mean {spread['mean']:.2f}. A heap at the "
        "far left would be a mixture that has become certain.",
        histogram(spread["edges"], spread["shares"], "log σ"),
    )


def temperature_table(agents: Sequence[AgentResult]) -> Section | None:
    """Dreamt and actual score by the temperature of the dream that a controller grew up in, as in the paper's table 2.

    None where fewer than two temperatures of one world model were evaluated.
    """
    by_model: dict[str, list[tuple[float, AgentResult]]] = defaultdict(list)
    for agent in agents:
        temperature = _temperature(agent.records[0])
        if temperature is not None and agent.origin.dreamt is not None:
            by_model[agent.origin.files.get("mdn_rnn", "")].append((temperature, agent))
    swept = max(by_model.values(), key=lambda group: len({one for one, _ in group}), default=[])
    if len({one for one, _ in swept}) < 2:
        return None
    rows = [
        [
            f"{temperature:g}",
            f"{agent.origin.dreamt:.0f}",
            interval_text(agent.interval("score", "mean")),
            interval_text(agent.interval("max_x")),
            share_text(agent.flags),
        ]
        for temperature, agent in sorted(swept, key=lambda pair: pair[0])
    ]
    table = Table(
        "temperature",
        "Controllers evolved at different temperatures of one world model's dream (Ha & Schmidhuber 2018, table 2)",
        ("temperature", "return in the dream", "actual score, mean", "furthest x, IQM", "flag"),
        rows,
    )
    return Section("The temperature of the dream", [table])


def _temperature(record: Record) -> float | None:
    dream = record.agent.settings.get("controller", {}).get("dream", {})
    temperature = dream.get("temperature") if isinstance(dream, dict) else None
    return float(temperature) if isinstance(temperature, (int, float)) else None
