// Made from the declared tables by `flask db convex-schema`; changes belong there.

import { INTERNAL_TABLES } from "./lib/internal_tables";
import type { Table } from "./lib/types";

export const TABLES: Record<string, Table> = {
  ...INTERNAL_TABLES,
  agent_states: {
    columns: {
      id: { kind: "text", nullable: false },
      agent_id: { kind: "text", nullable: false },
      state_id: { kind: "text", nullable: false },
      state: { kind: "json", nullable: false },
      timestamp: { kind: "text", nullable: true },
    },
    access: { read: [], write: [], delete: [] },
    owner: null,
    unique: [["id"], ["agent_id", "state_id"]],
    references: {},
    indexes: {
      on_agent_id_state_id: ["agent_id", "state_id"],
      on_id: ["id"],
    },
  },
  agent_tasks: {
    columns: {
      id: { kind: "text", nullable: false },
      agent_id: { kind: "text", nullable: false },
      task_id: { kind: "text", nullable: false },
      task_data: { kind: "json", nullable: false },
      timestamp: { kind: "text", nullable: true },
    },
    access: { read: [], write: [], delete: [] },
    owner: null,
    unique: [["id"], ["agent_id", "task_id"]],
    references: {},
    indexes: {
      on_agent_id_task_id: ["agent_id", "task_id"],
      on_id: ["id"],
    },
  },
  conversations: {
    columns: {
      id: { kind: "text", nullable: false },
      conversation_id: { kind: "text", nullable: false },
      message: { kind: "json", nullable: false },
      timestamp: { kind: "text", nullable: true },
    },
    access: { read: [], write: [], delete: [] },
    owner: null,
    unique: [["id"]],
    references: {},
    indexes: {
      on_conversation_id: ["conversation_id", "id"],
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
    access: { read: ["anyone"], write: ["user"], delete: ["role:admin"] },
    owner: null,
    unique: [["id"]],
    references: {},
    indexes: {
      on_formula: ["formula", "id"],
      on_id: ["id"],
    },
  },
  notes: {
    columns: {
      id: { kind: "text", nullable: false },
      created_at: { kind: "timestamp", nullable: false },
      updated_at: { kind: "timestamp", nullable: false },
      version: { kind: "integer", nullable: false },
      owner_id: { kind: "text", nullable: false },
      title: { kind: "text", nullable: false },
      body: { kind: "text", nullable: true },
    },
    access: { read: ["owner"], write: ["owner"], delete: ["owner"] },
    owner: "owner_id",
    unique: [["id"]],
    references: {},
    indexes: {
      on_id: ["id"],
      on_owner_id: ["owner_id", "id"],
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
    access: { read: ["anyone"], write: ["user"], delete: ["role:admin"] },
    owner: null,
    unique: [["id"]],
    references: {},
    indexes: {
      on_id: ["id"],
    },
  },
  transactions: {
    columns: {
      id: { kind: "text", nullable: false },
      case_id: { kind: "text", nullable: false },
      transaction: { kind: "json", nullable: false },
      timestamp: { kind: "text", nullable: true },
    },
    access: { read: [], write: [], delete: [] },
    owner: null,
    unique: [["id"]],
    references: {},
    indexes: {
      on_case_id: ["case_id", "id"],
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
    access: { read: ["anyone"], write: ["user"], delete: ["role:admin"] },
    owner: null,
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
