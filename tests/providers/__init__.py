"""A local server with the APIs of OpenAI, Anthropic and Gemini, so that their own packages can be its client.

`running_provider` replays the captures in tests/wire. `running_model` has a scripted model: it writes SQL, calls tools
and writes the response, with token counts of its own for each call, and logs what it sent.
"""

from tests.providers.model import RESPONSE_TEXT, SQL, Call, Cut, Failed, Failure, Model, Status
from tests.providers.server import WIRE, running_model, running_provider

__all__ = [
    "RESPONSE_TEXT",
    "SQL",
    "WIRE",
    "Call",
    "Cut",
    "Failed",
    "Failure",
    "Model",
    "Status",
    "running_model",
    "running_provider",
]
