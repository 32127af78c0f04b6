"""Synthesis as a job: strategies of `synth` drawn on any engine, delivered to the lake by the door of real images."""

import synth.fonts  # noqa: F401 - says what to install where the extra is missing, before any other module fails
