"""Rippling graphene in three dimensions from one low-dose frame (paper 000)."""
