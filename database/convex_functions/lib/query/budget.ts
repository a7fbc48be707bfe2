import { getDocumentSize } from "convex/values";
import type { Document } from "../database";

/** A limit on reads. Convex aborts a function that reads more than 32,000 records or 16 MiB. */
export class Budget {
  constructor(
    private records: number,
    private bytes: number,
  ) {}

  get spent(): boolean {
    return this.records <= 0 || this.bytes <= 0;
  }

  spend(document: Document): void {
    this.records -= 1;
    this.bytes -= getDocumentSize(document);
  }
}
