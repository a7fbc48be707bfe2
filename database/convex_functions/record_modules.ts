import * as experiments from "./experiments";
import * as molecules from "./molecules";
import * as protocols from "./protocols";

/**
 * The modules that export functions made by `recordFunctions`, by path. A transaction of Isthmus executes these
 * functions itself; it calls all other functions of these and of other modules at its commit.
 */
export const RECORD_MODULES: Record<string, object> = { experiments, molecules, protocols };
