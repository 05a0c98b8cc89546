"""The plan: which version, to whom, through which stream, when; and its rehearsals."""

from mailops.campaigns.models.campaign import Campaign, CampaignQuerySet
from mailops.campaigns.models.preflight import Preflight

__all__ = ["Campaign", "CampaignQuerySet", "Preflight"]
