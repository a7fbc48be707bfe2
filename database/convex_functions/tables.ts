// Made from the declared tables by `flask db convex-schema`; changes belong there.

import type { Table } from "./lib/types";

export const TABLES: Record<string, Table> = {
  isthmus_idempotency_keys: {
    columns: {
      id: { kind: "text", nullable: false },
      created_at: { kind: "timestamp", nullable: false },
      updated_at: { kind: "timestamp", nullable: false },
      version: { kind: "integer", nullable: false },
      fingerprint: { kind: "text", nullable: false },
      status: { kind: "integer", nullable: true },
      headers: { kind: "json", nullable: true },
      body: { kind: "text", nullable: true },
    },
    unique: [["id"]],
    references: {},
    indexes: {
      on_id: ["id"],
    },
  },
  isthmus_identities: {
    columns: {
      id: { kind: "text", nullable: false },
      created_at: { kind: "timestamp", nullable: false },
      updated_at: { kind: "timestamp", nullable: false },
      version: { kind: "integer", nullable: false },
      issuer: { kind: "text", nullable: false },
      subject: { kind: "text", nullable: false },
      user_id: { kind: "text", nullable: false },
    },
    unique: [["id"]],
    references: {},
    indexes: {
      on_id: ["id"],
      on_user_id: ["user_id", "id"],
    },
  },
  isthmus_refresh_tokens: {
    columns: {
      id: { kind: "text", nullable: false },
      created_at: { kind: "timestamp", nullable: false },
      updated_at: { kind: "timestamp", nullable: false },
      version: { kind: "integer", nullable: false },
      session_id: { kind: "text", nullable: false },
      used_at: { kind: "timestamp", nullable: true },
      sealed_successor: { kind: "text", nullable: true },
    },
    unique: [["id"]],
    references: {},
    indexes: {
      on_id: ["id"],
      on_session_id: ["session_id", "id"],
    },
  },
  isthmus_sessions: {
    columns: {
      id: { kind: "text", nullable: false },
      created_at: { kind: "timestamp", nullable: false },
      updated_at: { kind: "timestamp", nullable: false },
      version: { kind: "integer", nullable: false },
      user_id: { kind: "text", nullable: false },
      last_used_at: { kind: "timestamp", nullable: false },
      expires_at: { kind: "timestamp", nullable: false },
      ended_at: { kind: "timestamp", nullable: true },
      end_reason: { kind: "text", nullable: true },
      user_agent: { kind: "text", nullable: true },
    },
    unique: [["id"]],
    references: {},
    indexes: {
      on_ended_at: ["ended_at", "id"],
      on_id: ["id"],
      on_user_id: ["user_id", "id"],
    },
  },
  isthmus_sync_conflicts: {
    columns: {
      id: { kind: "text", nullable: false },
      created_at: { kind: "timestamp", nullable: false },
      updated_at: { kind: "timestamp", nullable: false },
      version: { kind: "integer", nullable: false },
      pair: { kind: "text", nullable: false },
      table_name: { kind: "text", nullable: false },
      record_id: { kind: "text", nullable: false },
      rule: { kind: "text", nullable: false },
      base: { kind: "json", nullable: true },
      versions: { kind: "json", nullable: false },
      result: { kind: "json", nullable: true },
    },
    unique: [["id"]],
    references: {},
    indexes: {
      on_id: ["id"],
      on_table_name: ["table_name", "id"],
    },
  },
  isthmus_sync_cursors: {
    columns: {
      id: { kind: "text", nullable: false },
      created_at: { kind: "timestamp", nullable: false },
      updated_at: { kind: "timestamp", nullable: false },
      version: { kind: "integer", nullable: false },
      session: { kind: "text", nullable: false },
      cursors: { kind: "json", nullable: false },
    },
    unique: [["id"]],
    references: {},
    indexes: {
      on_id: ["id"],
    },
  },
  isthmus_sync_records: {
    columns: {
      id: { kind: "text", nullable: false },
      created_at: { kind: "timestamp", nullable: false },
      updated_at: { kind: "timestamp", nullable: false },
      version: { kind: "integer", nullable: false },
      pair: { kind: "text", nullable: false },
      table_name: { kind: "text", nullable: false },
      record_id: { kind: "text", nullable: false },
      row: { kind: "json", nullable: true },
    },
    unique: [["id"]],
    references: {},
    indexes: {
      on_id: ["id"],
    },
  },
  isthmus_users: {
    columns: {
      id: { kind: "text", nullable: false },
      created_at: { kind: "timestamp", nullable: false },
      updated_at: { kind: "timestamp", nullable: false },
      version: { kind: "integer", nullable: false },
      email: { kind: "text", nullable: false },
      password_hash: { kind: "text", nullable: false },
      name: { kind: "text", nullable: true },
      role: { kind: "text", nullable: false },
    },
    unique: [["id"], ["email"]],
    references: {},
    indexes: {
      on_email: ["email", "id"],
      on_id: ["id"],
    },
  },
  molecules: {
    columns: {
      id: { kind: "text", nullable: false },
      created_at: { kind: "timestamp", nullable: false },
      updated_at: { kind: "timestamp", nullable: false },
      version: { kind: "integer", nullable: false },
      name: { kind: "text", nullable: false },
      formula: { kind: "text", nullable: true },
      properties: { kind: "json", nullable: true },
    },
    unique: [["id"]],
    references: {},
    indexes: {
      on_formula: ["formula", "id"],
      on_id: ["id"],
    },
  },
  protocols: {
    columns: {
      id: { kind: "text", nullable: false },
      created_at: { kind: "timestamp", nullable: false },
      updated_at: { kind: "timestamp", nullable: false },
      version: { kind: "integer", nullable: false },
      name: { kind: "text", nullable: false },
      description: { kind: "text", nullable: true },
      steps: { kind: "json", nullable: true },
    },
    unique: [["id"]],
    references: {},
    indexes: {
      on_id: ["id"],
    },
  },
  experiments: {
    columns: {
      id: { kind: "text", nullable: false },
      created_at: { kind: "timestamp", nullable: false },
      updated_at: { kind: "timestamp", nullable: false },
      version: { kind: "integer", nullable: false },
      name: { kind: "text", nullable: false },
      molecule_id: { kind: "text", nullable: true },
      protocol_id: { kind: "text", nullable: true },
      results: { kind: "json", nullable: true },
    },
    unique: [["id"]],
    references: {
      molecule_id: "molecules",
      protocol_id: "protocols",
    },
    indexes: {
      on_id: ["id"],
      on_molecule_id: ["molecule_id", "id"],
      on_protocol_id: ["protocol_id", "id"],
    },
  },
};
