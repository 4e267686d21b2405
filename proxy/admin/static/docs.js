"use strict";

function element(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

/** Replace references by what they name, so that a reader sees whole shapes. The models do not recur. */
function resolve(schema, components) {
  if (Array.isArray(schema)) return schema.map((part) => resolve(part, components));
  if (schema === null || typeof schema !== "object") return schema;
  if (schema.$ref) return resolve(components[schema.$ref.split("/").pop()], components);
  return Object.fromEntries(Object.entries(schema).map(([key, part]) => [key, resolve(part, components)]));
}

/** A JSON Schema as a short example-like shape. */
function shape(schema) {
  if (schema.anyOf) return schema.anyOf.map(shape).map((part) => (typeof part === "string" ? part : JSON.stringify(part))).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.join(" or ");
  if (schema.type === "array") return [shape(schema.items || {})];
  if (schema.properties) {
    return Object.fromEntries(Object.entries(schema.properties).map(([name, part]) => [name, shape(part)]));
  }
  if (schema.additionalProperties) return { "…": shape(schema.additionalProperties) };
  return schema.type || "any";
}

function pretty(schema, components) {
  return element("pre", JSON.stringify(shape(resolve(schema, components)), null, 2));
}

function operation(method, path, details, components) {
  const section = element("section");
  section.append(element("h2", `${method.toUpperCase()} ${path}`));
  section.append(element("p", details.description || details.summary));
  if (details.security) section.append(element("p", "Needs the bearer token where one is set.", "doubtful"));
  if (details.parameters) {
    section.append(element("h3", "Query parameters"));
    const list = element("ul");
    for (const parameter of details.parameters) {
      const item = element("li");
      item.append(element("code", parameter.name), ` ${parameter.description || ""}`);
      list.append(item);
    }
    section.append(list);
  }
  if (details.requestBody) {
    section.append(element("h3", "Body"));
    section.append(pretty(details.requestBody.content["application/json"].schema, components));
  }
  for (const [code, response] of Object.entries(details.responses)) {
    const disclosure = element("details");
    disclosure.append(element("summary", `${code} ${response.description}`));
    for (const [type, content] of Object.entries(response.content || {})) {
      disclosure.append(element("p", type, "quiet"));
      if (content.schema) disclosure.append(pretty(content.schema, components));
    }
    section.append(disclosure);
  }
  return section;
}

async function show() {
  const description = document.getElementById("description");
  try {
    const api = await (await fetch("openapi.json")).json();
    document.getElementById("version").textContent = `version ${api.info.version}`;
    description.textContent = api.info.description;
    document.getElementById("operations").replaceChildren(
      ...Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods)
        .map(([method, details]) => operation(method, path, details, api.components.schemas))));
  } catch (error) {
    description.className = "bad";
    description.textContent = `openapi.json cannot be read: ${error.message}`;
  }
}

show();
