"""Texts that steer the assistant, as data: prompts (Markdown with Jinja), guides and follow-up suggestions.

Nothing here is code; `assistant.prompts` reads and renders these files.
"""
