"""What the demo host sells, and under which prices billing knows it."""

from wellstreak_trust.tenancy import Feature, Plan

FREE = Plan(
    "free", {"seats": Feature(limit=2, seats=True), "agents": Feature(limit=1), "ai_reading": Feature(read_only=True)}
)
TEAM = Plan(
    "team",
    {
        "seats": Feature(limit=5, seats=True),
        "agents": Feature(limit=20),
        "ai_reading": Feature(read_only=True),
        "ai_behaviour": Feature(),
        "messaging": Feature(),
    },
)
PLANS = (FREE, TEAM)
PRICES = {"free": FREE, "team_monthly": TEAM}
