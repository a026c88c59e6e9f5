"""Addresses of the pages about bots."""

from django.urls import path

from bots import views, views_bot, views_chart, views_steer, views_strategies, views_wizard

app_name = "bots"
urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("bots/", views.bot_list, name="list"),
    path("bots/new/", views.new, name="new"),
    path("bots/new/<slug:strategy>/", views_wizard.wizard, name="wizard"),
    path("bots/new/<slug:strategy>/preview/", views_wizard.preview, name="preview"),
    path("bots/presets/<slug:key>/", views.preset, name="preset"),
    path("strategies/", views_strategies.strategies, name="strategies"),
    path("strategies/<slug:strategy>/", views_strategies.strategy, name="strategy"),
    path("bots/<uuid:public_id>/", views_bot.detail, name="detail"),
    path("bots/<uuid:public_id>/live/", views_bot.live, name="live"),
    path("bots/<uuid:public_id>/edit/", views_steer.edit, name="edit"),
    path("bots/<uuid:public_id>/edit/preview/", views_steer.edit_preview, name="edit-preview"),
    path("bots/<uuid:public_id>/what-now/", views_steer.what_now, name="what-now"),
    path("bots/<uuid:public_id>/stop/", views_bot.stop, name="stop"),
    path("bots/<uuid:public_id>/do/<slug:verb>/", views_bot.act, name="act"),
    path("bots/<uuid:public_id>/chart/", views_chart.chart, name="chart"),
    path("bots/<uuid:public_id>/candles/", views_chart.candles, name="candles"),
    path("bots/<uuid:public_id>/markers/", views_chart.markers, name="markers"),
]
