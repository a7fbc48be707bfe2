// Made from the declared tables by `flask db convex-schema`; changes belong there.

import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
import { INTERNAL_SCHEMA } from "./lib/internal_schema";

export default defineSchema({
  ...INTERNAL_SCHEMA,
  agent_states: defineTable({
    id: v.string(),
    agent_id: v.string(),
    state_id: v.string(),
    state: v.any(),
    timestamp: v.optional(v.union(v.null(), v.string())),
  })
    .index("on_agent_id_state_id", ["agent_id", "state_id"])
    .index("on_id", ["id"]),
  agent_tasks: defineTable({
    id: v.string(),
    agent_id: v.string(),
    task_id: v.string(),
    task_data: v.any(),
    timestamp: v.optional(v.union(v.null(), v.string())),
  })
    .index("on_agent_id_task_id", ["agent_id", "task_id"])
    .index("on_id", ["id"]),
  conversations: defineTable({
    id: v.string(),
    conversation_id: v.string(),
    message: v.any(),
    timestamp: v.optional(v.union(v.null(), v.string())),
  })
    .index("on_conversation_id", ["conversation_id", "id"])
    .index("on_id", ["id"]),
  evaluations: defineTable({
    id: v.string(),
    created_at: v.string(),
    updated_at: v.string(),
    version: v.int64(),
    code_hash: v.string(),
    status: v.string(),
    started_at: v.optional(v.union(v.null(), v.string())),
    completed_at: v.optional(v.union(v.null(), v.string())),
    runtime_ms: v.optional(v.union(v.null(), v.int64())),
    code: v.string(),
    code_size: v.int64(),
    code_s3_key: v.optional(v.union(v.null(), v.string())),
    output_preview: v.optional(v.union(v.null(), v.string())),
    output_size: v.optional(v.union(v.null(), v.int64())),
    output_type: v.optional(v.union(v.null(), v.string())),
    output_s3_key: v.optional(v.union(v.null(), v.string())),
    error_preview: v.optional(v.union(v.null(), v.string())),
    error_size: v.optional(v.union(v.null(), v.int64())),
    error_type: v.optional(v.union(v.null(), v.string())),
    error_s3_key: v.optional(v.union(v.null(), v.string())),
    metadata: v.any(),
  })
    .index("on_created_at_id", ["created_at", "id"])
    .index("on_id", ["id"])
    .index("on_status_created_at_id", ["status", "created_at", "id"]),
  molecules: defineTable({
    id: v.string(),
    created_at: v.string(),
    updated_at: v.string(),
    version: v.int64(),
    name: v.string(),
    formula: v.optional(v.union(v.null(), v.string())),
    properties: v.optional(v.any()),
  })
    .index("on_formula", ["formula", "id"])
    .index("on_id", ["id"]),
  notes: defineTable({
    id: v.string(),
    created_at: v.string(),
    updated_at: v.string(),
    version: v.int64(),
    owner_id: v.string(),
    title: v.string(),
    body: v.optional(v.union(v.null(), v.string())),
  })
    .index("on_id", ["id"])
    .index("on_owner_id", ["owner_id", "id"]),
  protocols: defineTable({
    id: v.string(),
    created_at: v.string(),
    updated_at: v.string(),
    version: v.int64(),
    name: v.string(),
    description: v.optional(v.union(v.null(), v.string())),
    steps: v.optional(v.any()),
  }).index("on_id", ["id"]),
  transactions: defineTable({
    id: v.string(),
    case_id: v.string(),
    transaction: v.any(),
    timestamp: v.optional(v.union(v.null(), v.string())),
  })
    .index("on_case_id", ["case_id", "id"])
    .index("on_id", ["id"]),
  evaluation_events: defineTable({
    id: v.string(),
    evaluation_id: v.string(),
    event_type: v.string(),
    timestamp: v.string(),
    message: v.string(),
    metadata: v.any(),
  })
    .index("on_evaluation_id", ["evaluation_id", "id"])
    .index("on_evaluation_id_id", ["evaluation_id", "id"])
    .index("on_event_type", ["event_type", "id"])
    .index("on_id", ["id"]),
  evaluation_metrics: defineTable({
    id: v.string(),
    evaluation_id: v.string(),
    metric_name: v.string(),
    metric_value: v.float64(),
    unit: v.optional(v.union(v.null(), v.string())),
    timestamp: v.string(),
  })
    .index("on_evaluation_id", ["evaluation_id", "id"])
    .index("on_evaluation_id_id", ["evaluation_id", "id"])
    .index("on_id", ["id"])
    .index("on_metric_name_timestamp", ["metric_name", "timestamp"]),
  experiments: defineTable({
    id: v.string(),
    created_at: v.string(),
    updated_at: v.string(),
    version: v.int64(),
    name: v.string(),
    molecule_id: v.optional(v.union(v.null(), v.string())),
    protocol_id: v.optional(v.union(v.null(), v.string())),
    results: v.optional(v.any()),
  })
    .index("on_id", ["id"])
    .index("on_molecule_id", ["molecule_id", "id"])
    .index("on_protocol_id", ["protocol_id", "id"]),
});
