"""Faults, each made to happen, and what must hold after it."""
