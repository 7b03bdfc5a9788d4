from __future__ import annotations

import pytest
from openai.types.chat import ChatCompletion

from tests.loader.observe.providers.conftest import EXPECTED, read, whole


@pytest.mark.parametrize("api", ["deepseek", "xai", "gemini_openai"])
def test_a_response_is_read_as_a_dict_and_as_an_object_of_the_package_openai(api: str) -> None:
    assert read(whole(api)) == EXPECTED[api]
    assert read(ChatCompletion.construct(**whole(api))) == EXPECTED[api]
    assert read(ChatCompletion.model_validate(whole(api))) == EXPECTED[api]


def test_reasoning_that_only_the_total_includes_counts_as_output() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 150}
    assert read({"usage": usage})[2:] == (100, 50, None)


def test_a_total_that_is_less_than_its_parts_changes_nothing() -> None:
    assert read({"usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 0}})[2:] == (100, 7, None)
