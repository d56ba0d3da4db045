// Turns a face up, from Node 20 or newer: node examples/goal.mjs http://127.0.0.1:8090 TOKEN +x
const [address, token, face] = process.argv.slice(2);

async function ask(name, members = {}) {
  const headers = { Authorization: `Bearer ${token}` };
  const answer = await fetch(`${address}/${name}`, {
    method: name === "status" ? "GET" : "POST",
    headers,
    body: name === "status" ? undefined : JSON.stringify(members),
  });
  const reply = await answer.json();
  if (!reply.ok) throw new Error(`${name}: ${reply.error.message}`);
  return reply;
}

for (const name of ["enable", "arm"]) console.log(name, (await ask(name)).mode);
const { goals } = await ask("goal", { face, timeout: 30 });
console.log("goal", goals[0], (await ask("status")).mode);
