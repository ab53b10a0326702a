// Serves telegram-test-api, a Telegram that others wrote, on 127.0.0.1 at the port that is its argument.
const TelegramServer = require('telegram-test-api');
const Server = TelegramServer.TelegramServer || TelegramServer;
new Server({ host: '127.0.0.1', port: Number(process.argv[2]), storeTimeout: 600 }).start()
  .then(() => console.log('ready'), (error) => { console.error(error); process.exit(1); });
