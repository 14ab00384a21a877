"""`homeport agent serve`, as it is typed: on real llama.cpp with the model that was taught one tool."""

from __future__ import annotations

import json
import signal
from contextlib import suppress
from pathlib import Path

import openai

from places import TAUGHT
from user import User

OWN = '''def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return f"It rains in {city}."

get_weather.changes = False
'''


def test_a_real_model_behind_it_calls_a_tool_for_openais_client(user: User, tmp_path: Path) -> None:
    user.write(f'name = "home"\nmodel = "file:{TAUGHT}"\n[engine]\ncontext = 1024\n[local]\nport = 0\n')
    (user.folder / "own.py").write_text(OWN)
    user.run("up", "--yes", "--no-verify")
    process = user.begin(
        "agent", "serve", "--port", "0", "--tool", "own.py:get_weather", "--max-steps", "3",
        "--temperature", "0", "--system", "", "--transcripts", str(tmp_path / "kept"),
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        lines = [process.stdout.readline().strip().partition("=")[2] for _ in range(3)]
        url, key, model = lines
        with openai.OpenAI(base_url=url, api_key=key) as client:
            assert [one.id for one in client.models.list().data] == [model] == ["agent"]
            # What it says after the result is not what it was taught, so the run may end without an answer.
            with suppress(openai.UnprocessableEntityError):
                client.chat.completions.create(
                    model=model, messages=[{"role": "user", "content": "What is the weather in Paris?"}]
                )
    finally:
        process.send_signal(signal.SIGINT)
        err = process.stderr.read()
        process.stdout.close()
        process.stderr.close()
    assert process.wait(300) == 0, err
    assert key not in err
    assert "agent answers at" in err
    (file,) = (tmp_path / "kept").iterdir()
    assert f"transcript {file.name}" in err
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert events[1]["calls"][0]["name"] == "get_weather"
    assert events[1]["calls"][0]["arguments"] == {"city": "Paris"}
