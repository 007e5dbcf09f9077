import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist/", "bin/", "node_modules/", "scripts/", "eslint.config.mjs"] },
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // An answer of the server has the shape that docs/protocol.md gives it; where it is asked for says which.
      "@typescript-eslint/no-unnecessary-type-parameters": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/no-floating-promises": [
        "error",
        { allowForKnownSafeCalls: [{ from: "package", package: "node:test", name: ["test"] }] },
      ],
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-eval": "error",
    },
  },
);
