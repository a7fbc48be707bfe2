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
