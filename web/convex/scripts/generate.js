// Writes `src/component/_generated/component.ts` anew: how an application sees the component's functions. The Convex
// command line does that with the help of a deployment; here the built functions say themselves what they take and give.
import { readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { format } from "prettier";

const root = dirname(import.meta.dirname);

/** A validator as a TypeScript type, in the way of `convex codegen`. */
function typeOf(validator) {
    switch (validator.type) {
        case "bigint":
            return "bigint";
        case "id":
            return "string";
        case "bytes":
            return "ArrayBuffer";
        case "literal":
            return JSON.stringify(validator.value);
        case "array":
            return `Array<${typeOf(validator.value)}>`;
        case "union":
            return validator.value.map(typeOf).join(" | ");
        case "record":
            return `Record<${typeOf(validator.keys)}, ${typeOf(validator.values.fieldType)}>`;
        case "object": {
            const fields = Object.entries(validator.value).sort(([a], [b]) => (a < b ? -1 : 1));
            return `{ ${fields.map(([name, { fieldType, optional }]) => `${name}${optional ? "?" : ""}: ${typeOf(fieldType)}`).join("; ")} }`;
        }
        case "any":
        case "null":
        case "boolean":
        case "number":
        case "string":
            return validator.type;
        default:
            throw new Error(`there is no type for ${JSON.stringify(validator)}`);
    }
}

function reference(func) {
    const kind = func.isQuery ? "query" : func.isMutation ? "mutation" : "action";
    const [args, returns] = [func.exportArgs(), func.exportReturns()].map((text) => typeOf(JSON.parse(text) ?? { type: "any" }));
    return `FunctionReference<"${kind}", "internal", ${args}, ${returns}, Name>`;
}

const modules = [];
const files = readdirSync(join(root, "dist/component")).filter((name) => name.endsWith(".js") && name !== "convex.config.js");
for (const file of files.sort()) {
    const exported = Object.entries(await import(pathToFileURL(join(root, "dist/component", file)).href)).sort(([a], [b]) =>
        a < b ? -1 : 1,
    );
    const functions = exported.filter(([, func]) => func?.isPublic && (func.isQuery || func.isMutation || func.isAction));
    if (functions.length > 0) {
        modules.push(
            `${file.slice(0, -".js".length)}: { ${functions.map(([name, func]) => `${name}: ${reference(func)}`).join("; ")} }`,
        );
    }
}

const text = `/* eslint-disable */
/**
 * Generated \`ComponentApi\` utility.
 *
 * THIS CODE IS AUTOMATICALLY GENERATED.
 *
 * To regenerate, run \`npm run generate\`.
 * @module
 */

import type { FunctionReference } from "convex/server";

/**
 * A utility for referencing a Convex component's exposed API.
 *
 * Useful when expecting a parameter like \`components.myComponent\`.
 */
export type ComponentApi<Name extends string | undefined = string | undefined> = { ${modules.join("; ")} };
`;
writeFileSync(join(root, "src/component/_generated/component.ts"), await format(text, { parser: "typescript" }));
