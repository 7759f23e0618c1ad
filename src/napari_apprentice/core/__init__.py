"""The nouns of the house: plain, frozen data that every other room speaks in (no torch, no Qt)."""
