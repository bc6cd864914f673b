"""Attune's client against a real vLLM server on the CPU."""

from vllm_suite import *  # noqa: F403
