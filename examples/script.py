"""A plain script. It needs no code at its end, because the exit of the interpreter delivers the record."""

from __future__ import annotations

import sys
from uuid import UUID

from chat import answer

if __name__ == "__main__":
    user_id, question = sys.argv[1:]
    for piece in answer(UUID(user_id), question):
        print(piece, end="", flush=True)
    print()
