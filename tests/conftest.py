"""The environment that AWS and the template give to a function; nothing here reaches AWS."""

import os

os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "POWERTOOLS_SERVICE_NAME": "extract_todos",
    "POWERTOOLS_LOG_LEVEL": "INFO",
    "POWERTOOLS_METRICS_NAMESPACE": "MojodexBackground",
    "DATABASE_SECRET_ARN": "database",
    "DATABASE_POOL_SIZE": "5",
    "QUEUE_URL": "queue",
    "DEAD_LETTER_QUEUE_URL": "dead-letters",
    "LEASE_SECONDS": "150",
    "MINIMUM_AGE_MINUTES": "10",
    "LOOK_BACK_DAYS": "7",
    "LLM_SECRET_ARN": "model",
    "LLM_MODELS": "gpt-5-mini,gpt-4.1",
    "CONVERSATION_TOKEN_BUDGET": "16000",
    "NIGHT_FROM_HOUR": "1",
    "NIGHT_UNTIL_HOUR": "6",
    "LOAD_CAP": "8",
    "SLIPPING_AFTER_MOVES": "5",
    "DAILY_TODO_EMAIL_TIME": "8",
    "EMAIL_SENDER": "mojo@example.com",
    "SES_CONFIGURATION_SET": "mojodex",
    "MOJODEX_WEBAPP_URI": "https://app.example.com",
    "EMBEDDING_MODEL": "text-embedding-ada-002",
    "CREATE_FROM_WEBSITE_QUEUE_URL": "websites",
    "INGEST_PAGE_QUEUE_URL": "pages",
    "CRAWL_PAGE_LIMIT": "100",
    "CRAWL_DEPTH_LIMIT": "3",
    "CRAWL_MINUTES_LIMIT": "60",
    "REFRESH_DAYS": "7",
    "PAGE_BYTES_LIMIT": "5000000",
    "CONTACT_URL": "https://example.com/crawler",
    "QUEUES": "{}",
}
for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
    os.environ.pop(name, None)
