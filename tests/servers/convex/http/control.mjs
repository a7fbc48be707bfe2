// Routes with which tests steer a deployment. No deployment of Convex has them.

import { readJson } from "./requests.mjs";

/** The same form as the deployment's own routes. */
export const CONTROL_ROUTES = {
  "/__faults": { POST: addFault, DELETE: clearFaults },
  "/__reset": { POST: reset },
  "/__requests": { GET: async ({ deployment }) => JSON.stringify(deployment.counts) },
};

async function addFault({ request, deployment }) {
  deployment.faults.add(await readJson(request));
  return "{}";
}

async function clearFaults({ deployment }) {
  deployment.faults.clear();
  return "{}";
}

/** Make the deployment as it was when it started. */
async function reset({ deployment: { functions, faults, counts } }) {
  await functions.reset();
  faults.clear();
  counts.clear();
  return "{}";
}
