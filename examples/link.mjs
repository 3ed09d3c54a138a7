// Asks ChatGPT through Func's authorization link. Node.js 18 or later, no packages.
//
//     LINK=http://FUNC:8088/api/v1/al/LINK/simplified LINK_SECRET=… node link.mjs "What is Guance?"

const headers = { "Content-Type": "application/json" };
// The header of links that `guance-chatgpt-monitor install` has made.
if (process.env.LINK_SECRET) headers["X-ChatGPT-Monitor-Secret"] = process.env.LINK_SECRET;

const response = await fetch(process.env.LINK, {
  method: "POST",
  headers,
  body: JSON.stringify({ question: process.argv[2] ?? "What is Guance?", tags: { team: "web" } }),
});
const answer = await response.json();

if (response.ok) {
  console.log(answer.choices[0].message.content);
} else {
  // OpenAI's form, or Func's where Func itself refuses.
  console.error(response.status, answer.error?.message ?? answer.message ?? answer.reason);
  process.exitCode = 1;
}
