"""Whole jobs around a trained run: the study whether its images help, the report page, and the demo."""
