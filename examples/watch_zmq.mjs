// The protocol from Node: npm install zeromq@6; node watch_zmq.mjs /run/inhand
import { Dealer, Subscriber } from "zeromq";
const place = process.argv[2] ?? "/run/inhand";
const commands = new Dealer({ linger: 0 });
const states = new Subscriber();
commands.connect(`ipc://${place}/command.sock`);
states.connect(`ipc://${place}/state.sock`);
states.subscribe("state");
for (const [id, type] of ["status", "arm", "enable", "disable"].entries()) {
  await commands.send(JSON.stringify({ v: 1, id, type }));
  const reply = JSON.parse((await commands.receive())[0]);
  console.log(reply.id, type, reply.ok ? reply.mode : reply.error.code);
}
const [topic, message] = await states.receive();
console.log(topic.toString(), JSON.parse(message).mode);
commands.close();
states.close();
