export default {
  providers: [
    {
      type: "customJwt",
      issuer: process.env.CONVEX_JWT_ISSUER,
      applicationID: process.env.CONVEX_JWT_AUDIENCE,
      jwks: process.env.CONVEX_JWT_JWKS,
      algorithm: process.env.CONVEX_JWT_ALGORITHM ?? "ES256",
    },
  ],
};
