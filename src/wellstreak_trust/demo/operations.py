"""Every governed action of the host, declared once: what is not here is not served."""

from datetime import timedelta

from wellstreak_trust.audit import ActionSpec
from wellstreak_trust.console import VIEW_OPERATIONS
from wellstreak_trust.guard import Operation, Operations
from wellstreak_trust.guard import workspace as own
from wellstreak_trust.ratelimit import LimitRule

_MINUTE = timedelta(minutes=1)

READ_WORKSPACE = Operation("workspace.read", "workspace:read")
LIST_MEMBERS = Operation("members.list", "members:read", limits=(LimitRule("members", 20, _MINUTE, by=("tenant",)),))
READ_BILLING = Operation("billing.read", "billing:read")
CHANGE_PLAN = Operation("billing.change_plan", "billing:update", audit="demo.plan_changed")
CONNECT = Operation("integrations.connect", "integrations:connect", audit="demo.integration_connected")
READ_INTEGRATION = Operation("integrations.read", "integrations:read")
SUSPEND_INTEGRATION = Operation("integrations.suspend", "integrations:connect", audit="demo.integration_suspended")
TEST_INTEGRATION = Operation("integrations.test", "integrations:test", audit="demo.integration_tested")
SEND_MESSAGE = Operation(
    "messages.send",
    "messages:send",
    feature="messaging",
    connection="messenger",
    limits=(LimitRule("messages", 5, _MINUTE, by=("tenant",)),),
)
READ_AI = Operation("ai.read", "ai_settings:read", feature="ai_reading")
CREATE_AGENT = Operation("agents.create", "agents:create", feature="agents", audit="demo.agent_created")
READ_AGENT = Operation("agents.read", "agents:read")
UPDATE_AGENT = Operation("agents.update", "agents:update", audit="demo.agent_updated")
CHANGE_AI = Operation("ai.change", "ai_settings:update", feature="ai_behaviour", audit="demo.ai_settings_changed")
READ_AUDIT = Operation("audit.read", "audit:read", audit="demo.audit_read")
LIST_WORKSPACES = Operation("platform.list", "platform:workspaces_list")
BREAK_GLASS = Operation("platform.break_glass", "platform:break_glass", audit="demo.break_glass")

GOVERNED = Operations(
    (
        READ_WORKSPACE,
        LIST_MEMBERS,
        *(operation for operation in own.WORKSPACE_OPERATIONS if operation is not own.LIST_MEMBERS),
        READ_BILLING,
        CHANGE_PLAN,
        CONNECT,
        READ_INTEGRATION,
        SUSPEND_INTEGRATION,
        TEST_INTEGRATION,
        SEND_MESSAGE,
        CREATE_AGENT,
        READ_AGENT,
        UPDATE_AGENT,
        READ_AI,
        CHANGE_AI,
        READ_AUDIT,
        LIST_WORKSPACES,
        BREAK_GLASS,
        VIEW_OPERATIONS,
    )
)
ACTIONS = tuple(
    ActionSpec(operation.audit, "critical", f"demo host: {operation.name}")
    for operation in GOVERNED.values()
    if operation.audit is not None and operation is not VIEW_OPERATIONS
)
