FROM node:22-slim AS browser
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev && npm run vendor

FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app
COPY requirements.txt ./
RUN pip install --requirement requirements.txt
COPY . .
COPY --from=browser /app/static static
# the build needs a secret key to start, and keeps it nowhere
RUN VAR_DIR=/tmp/build python manage.py collectstatic --no-input && rm -r /tmp/build
RUN useradd --system --no-create-home --uid 10001 platform
USER platform
EXPOSE 8000
CMD ["daphne", "--bind", "0.0.0.0", "--port", "8000", "iot_platform.asgi:application"]
