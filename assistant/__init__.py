"""Everything spoken: findings, evidence, tools, the agent and its chat. Sees evidence, never tensors."""

__version__ = "0.4.0"
