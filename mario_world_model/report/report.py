"""Write the comparison of agents: one HTML file that needs nothing else, the same as Markdown, CSV and JSON.

    mario-world-model evaluate --pretrained --protocol sticky --episodes 100 --output records/world_model.json
    mario-world-model evaluate --policy uniform --protocol sticky --episodes 100 --output records/uniform.json
    mario-world-model report records --output report

What is found in the folders goes in: outputs of `evaluate` and `probe`, and logs of training.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from mario_world_model import pretrained
from mario_world_model.command import run_command
from mario_world_model.config import ReportConfig
from mario_world_model.errors import InputError
from mario_world_model.report.agents import METRICS, AgentResult, Conditions, agents_by_conditions
from mario_world_model.report.comparison import comparison, findings
from mario_world_model.report.document import Document, Section, Table
from mario_world_model.report.dream_evidence import dream_evidence, temperature_table
from mario_world_model.report.dream_pictures import dream_pictures
from mario_world_model.report.efficiency import efficiency
from mario_world_model.report.html_page import to_html
from mario_world_model.report.inputs import Inputs, gather
from mario_world_model.report.learning import learning
from mario_world_model.report.level import level
from mario_world_model.report.markdown import table_lines, to_markdown, write_parts
from mario_world_model.report.reproduction import reproduction
from mario_world_model.rollouts.dataset import open_dataset
from mario_world_model.statistics.aggregates import AGGREGATES
from mario_world_model.utils.atomic import written_whole

_BEGIN, _END = "<!-- report -->", "<!-- /report -->"


def report(config: ReportConfig) -> Path:
    """Write a report; returns the path of its HTML."""
    if config.into is not None:
        _marked(config.into)
    inputs = gather(config.runs)
    groups = agents_by_conditions(inputs.records)
    document = _document(config, inputs, groups)
    write_parts(document, config.output)
    for name, content in (
        ("report.html", to_html(document)),
        ("report.md", to_markdown(document)),
        ("report.json", json.dumps(_figures(groups), indent=1) + "\n"),
    ):
        with written_whole(config.output / name) as temporary:
            temporary.write_text(content)
    if config.into is not None:
        _insert(config.into, document)
    return config.output / "report.html"


def _document(config: ReportConfig, inputs: Inputs, groups: dict[Conditions, list[AgentResult]]) -> Document:
    sections: list[Section | None] = [comparison(conditions, agents) for conditions, agents in groups.items()]
    headline, first = next(iter(groups.items()))
    sections.append(efficiency(first, inputs.logs))
    sections.append(level(headline, first, config.console))
    sections += [dream_evidence(name, probe, number) for number, (name, probe) in enumerate(inputs.probes)]
    sections.append(temperature_table(first))
    sections.append(_dreams(config))
    sections.append(learning(inputs.logs))
    sections.append(reproduction(inputs.records))
    lead = [sentence for conditions, agents in groups.items() for sentence in findings(conditions, agents)]
    return Document(config.title, lead, [section for section in sections if section is not None and section.blocks])


def _dreams(config: ReportConfig) -> Section | None:
    vae, mdn_rnn = (pretrained.VAE, pretrained.MDN_RNN) if config.pretrained else (config.vae, config.mdnrnn)
    if config.dataset is None:
        return None
    if vae is None or mdn_rnn is None:
        raise InputError("--dataset: expected --pretrained, or --vae and --mdnrnn, beside it, found none")
    return Section("The game and the dream side by side", dream_pictures(vae, mdn_rnn, open_dataset(config.dataset)))


def _figures(groups: dict[Conditions, list[AgentResult]]) -> list[dict[str, Any]]:
    """Every figure of the comparison as plain values."""
    return [
        {
            "conditions": dataclasses.asdict(conditions),
            "agents": [
                {
                    "agent": dataclasses.asdict(agent.origin),
                    "training_seeds": [record.agent.training_seed for record in agent.records],
                    "episodes": len(agent.episodes),
                    "real_frames": agent.frames,
                    "flag": dataclasses.asdict(agent.flags),
                    **{
                        metric: {name: dataclasses.asdict(agent.interval(metric, name)) for name in AGGREGATES}
                        for metric in METRICS
                    },
                }
                for agent in agents
            ],
        }
        for conditions, agents in groups.items()
    ]


def _marked(file: Path) -> tuple[str, str]:
    """What stands in a file before and after the place for a report."""
    try:
        before, rest = file.read_text().split(_BEGIN)
        _, after = rest.split(_END)
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: expected a file with one {_BEGIN} and one {_END}, found none") from error
    return before, after


def _insert(file: Path, document: Document) -> None:
    """Put findings and tables of the comparison between the marks of a file."""
    before, after = _marked(file)
    wanted = ("agents_", "pairs_", "cost", "temperature")
    lines = [f"- {one}" for one in document.lead]
    for section in document.sections:
        for block in section.blocks:
            if isinstance(block, Table) and block.name.startswith(wanted):
                lines += ["", *table_lines(block)]
    with written_whole(file) as temporary:
        temporary.write_text("\n".join([f"{before}{_BEGIN}", *lines, f"{_END}{after}"]))


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(ReportConfig, lambda config: print(report(config)), "mario-world-model report", arguments)


if __name__ == "__main__":
    sys.exit(main())
