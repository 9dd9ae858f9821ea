"""The configuration reference, from the models that read the configuration."""

from collections.abc import Iterator

import yaml

from pipelines.config import PipelineConfig
from reference_pages.json_schema import Schema, default_of, in_words, is_short, name_of, table
from serving.settings import PREFIX, Settings

_ABOUT = """# Configuration

One YAML file has a section for each step. `--set trainer.model.dimension=64` overrides a field: the heading
here, and the name in the table. Every field may be left out but those marked *required*. Unknown keys and
values of the wrong kind are refused with their path. This page is made from the classes that read the file.
"""


def configuration_page() -> str:
    """Every field of a configuration file, as Markdown."""
    whole = PipelineConfig.model_json_schema()
    types = whole["$defs"]
    linked: dict[str, None] = {}
    parts = [_ABOUT, *_sections("", whole, types, linked)]
    parts += [_section(name, types[name], types, linked) for name in tuple(linked)]
    return "\n\n".join(parts) + "\n"


def _sections(path: str, schema: Schema, types: dict[str, Schema], linked: dict[str, None]) -> Iterator[str]:
    """The sections below one, each with those below it."""
    for name, field in schema["properties"].items():
        if (below := name_of(field)) is not None:
            inner = f"{path}.{name}".lstrip(".")
            yield _section(inner, types[below], types, linked)
            yield from _sections(inner, types[below], types, linked)


def _section(path: str, schema: Schema, types: dict[str, Schema], linked: dict[str, None]) -> str:
    """A section; `linked` gets the names of what it links to that is no section."""

    def link(name: str) -> str:
        linked[name] = None
        return f"[{name}](#{name})"

    required = schema.get("required", ())
    rows, long_defaults = [], []
    for name, field in schema["properties"].items():
        below = name_of(field)
        kind = f"[section](#{path}.{name})" if below else in_words(field, link)
        default = default_of(field, required=name in required)
        if below and field.get("default"):
            default = "see there"
        elif not is_short(field):
            written = yaml.safe_dump({name: field["default"]}, sort_keys=False, default_flow_style=None)
            long_defaults.append(f"```yaml\n{written}```")
        # Pydantic leaves out what a field says of itself where its class says the same.
        described = field.get("description") or types[below or ""]["description"]
        rows.append((f"`{name}`", kind, default, described))
    heading = "##" if "." not in path else "###"
    about = [f"{heading} `{path}` {{ #{path} }}", schema.get("description", "")]
    return "\n\n".join([*about, table(("field", "value", "default", "what it says"), rows), *long_defaults])


def settings_page() -> str:
    """Every setting of the service, as Markdown."""
    schema = Settings.model_json_schema()
    rows = [
        (
            f"`{PREFIX}{name.upper()}`",
            in_words(field, lambda of: of),
            default_of(field, required=False),
            field.get("description", ""),
        )
        for name, field in schema["properties"].items()
    ]
    return (
        "# Settings of the service\n\n"
        "Environment variables of `marquee serve`, whose options go before them. Lists have commas.\n\n"
        f"{table(('variable', 'value', 'default', 'what it says'), rows)}\n"
    )
