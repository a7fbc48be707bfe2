// The API keys of a project: the present opaque ones and, as in older projects, tokens signed with its secret.

import { jwtVerify } from "jose";

/** What an API key entitles to; null for one that is not the project's. */
export const keyResolver = ({ anonKey, serviceKey, jwtSecret }) => {
  const secret = new TextEncoder().encode(jwtSecret);
  const opaque = new Map([
    [anonKey, { type: "publishable", claims: { role: "anon" } }],
    [serviceKey, { type: "secret", claims: { role: "service_role" } }],
  ]);
  return async (key) => opaque.get(key) ?? fromToken(key, secret);
};

const fromToken = async (key, secret) => {
  try {
    const { payload } = await jwtVerify(key, secret, { algorithms: ["HS256"] });
    return { type: payload.role === "service_role" ? "secret" : "publishable", claims: payload };
  } catch {
    return null;
  }
};
