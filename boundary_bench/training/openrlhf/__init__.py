"""OpenRLHF as the trainer (``trainer``). Nothing is imported here, since every Ray worker imports ``hook``."""
