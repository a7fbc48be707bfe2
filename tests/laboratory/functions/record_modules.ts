import * as experiments from "./experiments";
import * as molecules from "./molecules";
import * as protocols from "./protocols";

/**
 * The modules that export functions made by `recordFunctions`, by path. A transaction of Isthmus carries those out
 * itself; any other function that they export, and every function of any other module, it calls as it is written.
 */
export const RECORD_MODULES: Record<string, object> = { experiments, molecules, protocols };
