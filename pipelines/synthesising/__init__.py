"""Synthesis as a job: strategies of `synth` drawn on any engine, delivered to the lake by the door of real images."""
