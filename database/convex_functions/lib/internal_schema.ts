// Made from the declared tables by `flask db convex-schema`; changes belong there.

import { defineTable } from "convex/server";
import { v } from "convex/values";

export const INTERNAL_SCHEMA = {
  isthmus_entries: defineTable({
    id: v.string(),
    created_at: v.string(),
    updated_at: v.string(),
    version: v.int64(),
    store: v.string(),
    key: v.string(),
    key_start: v.string(),
    etag: v.string(),
    body: v.string(),
    size: v.int64(),
    headers: v.string(),
    metadata: v.string(),
    stored_at: v.string(),
    expires_at: v.optional(v.union(v.null(), v.string())),
    vector: v.optional(v.union(v.null(), v.string())),
  })
    .index("on_expires_at", ["expires_at", "id"])
    .index("on_id", ["id"])
    .index("on_store_key_start", ["store", "key_start"]),
  isthmus_idempotency_keys: defineTable({
    id: v.string(),
    created_at: v.string(),
    updated_at: v.string(),
    version: v.int64(),
    fingerprint: v.string(),
    status: v.optional(v.union(v.null(), v.int64())),
    headers: v.optional(v.any()),
    body: v.optional(v.union(v.null(), v.string())),
  })
    .index("on_created_at", ["created_at", "id"])
    .index("on_id", ["id"]),
  isthmus_identities: defineTable({
    id: v.string(),
    created_at: v.string(),
    updated_at: v.string(),
    version: v.int64(),
    issuer: v.string(),
    subject: v.string(),
    user_id: v.string(),
  })
    .index("on_id", ["id"])
    .index("on_user_id", ["user_id", "id"]),
  isthmus_refresh_tokens: defineTable({
    id: v.string(),
    created_at: v.string(),
    updated_at: v.string(),
    version: v.int64(),
    session_id: v.string(),
    used_at: v.optional(v.union(v.null(), v.string())),
    sealed_successor: v.optional(v.union(v.null(), v.string())),
  })
    .index("on_id", ["id"])
    .index("on_session_id", ["session_id", "id"])
    .index("on_used_at", ["used_at", "id"]),
  isthmus_sessions: defineTable({
    id: v.string(),
    created_at: v.string(),
    updated_at: v.string(),
    version: v.int64(),
    user_id: v.string(),
    last_used_at: v.string(),
    expires_at: v.string(),
    ended_at: v.optional(v.union(v.null(), v.string())),
    end_reason: v.optional(v.union(v.null(), v.string())),
    user_agent: v.optional(v.union(v.null(), v.string())),
  })
    .index("on_ended_at", ["ended_at", "id"])
    .index("on_id", ["id"])
    .index("on_user_id", ["user_id", "id"]),
  isthmus_sync_conflicts: defineTable({
    id: v.string(),
    created_at: v.string(),
    updated_at: v.string(),
    version: v.int64(),
    pair: v.string(),
    table_name: v.string(),
    record_id: v.string(),
    rule: v.string(),
    base: v.optional(v.union(v.null(), v.string())),
    first_name: v.optional(v.union(v.null(), v.string())),
    second_name: v.optional(v.union(v.null(), v.string())),
    first_row: v.optional(v.union(v.null(), v.string())),
    supabase_row: v.optional(v.union(v.null(), v.string())),
    second_row: v.optional(v.union(v.null(), v.string())),
    convex_row: v.optional(v.union(v.null(), v.string())),
    result: v.optional(v.union(v.null(), v.string())),
    state: v.optional(v.union(v.null(), v.string())),
    reason: v.optional(v.union(v.null(), v.string())),
  })
    .index("on_id", ["id"])
    .index("on_state", ["state", "id"])
    .index("on_table_name", ["table_name", "id"]),
  isthmus_sync_cursors: defineTable({
    id: v.string(),
    created_at: v.string(),
    updated_at: v.string(),
    version: v.int64(),
    epoch: v.optional(v.string()),
    session: v.optional(v.string()),
    cursors: v.any(),
  }).index("on_id", ["id"]),
  isthmus_sync_failures: defineTable({
    id: v.string(),
    created_at: v.string(),
    updated_at: v.string(),
    version: v.int64(),
    pair: v.string(),
    table_name: v.string(),
    record_id: v.string(),
    reason: v.string(),
  }).index("on_id", ["id"]),
  isthmus_sync_records: defineTable({
    id: v.string(),
    created_at: v.string(),
    updated_at: v.string(),
    version: v.int64(),
    pair: v.string(),
    epoch: v.optional(v.string()),
    session: v.optional(v.string()),
    table_name: v.string(),
    record_id: v.string(),
    row: v.optional(v.union(v.null(), v.string())),
  }).index("on_id", ["id"]),
  isthmus_users: defineTable({
    id: v.string(),
    created_at: v.string(),
    updated_at: v.string(),
    version: v.int64(),
    email: v.string(),
    password_hash: v.string(),
    name: v.optional(v.union(v.null(), v.string())),
    role: v.string(),
  })
    .index("on_email", ["email", "id"])
    .index("on_id", ["id"]),
  isthmusCommits: defineTable({
    key: v.string(),
    fingerprint: v.string(),
    answer: v.any(),
    rev: v.commitTs(),
  })
    .index("by_key", ["key"])
    .index("by_rev", ["rev"]),
  isthmusChanges: defineTable({
    rev: v.commitTs(),
    seq: v.int64(),
    table: v.string(),
    id: v.string(),
    op: v.string(),
    actor: v.union(v.null(), v.string()),
  }).index("by_rev", ["rev", "seq"]),
  isthmusNumbers: defineTable({
    table: v.string(),
    last: v.int64(),
  }).index("by_table", ["table"]),
};
